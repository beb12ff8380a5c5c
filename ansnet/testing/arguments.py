"""The arguments of `ansnet.testing.check`, looked at and gathered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ansnet.testing.capabilities import NEED_REFERENCE
from ansnet.testing.case import Function, Layer, Sample, Stated
from ansnet.testing.comparison import Conditions
from ansnet.testing.settings import (
    as_backend,
    as_devices,
    as_dtypes,
    as_reasons,
    as_seed,
    as_tolerance,
    shown,
)
from ansnet.testing.signatures import bind, described
from ansnet.testing.specification import SpecificationError, parse_sample
from ansnet.testing.stateless import Stateless
from ansnet.testing.subject import Subject


def subject(
    capabilities: Collection[str],
    function: Function | nn.Module,
    reference: Function | nn.Module | None,
    samples: Iterable[Sample | tuple[Any, ...] | str],
    *,
    derivative: Function | nn.Module | None = None,
    layer: Layer | None = None,
    not_applicable: Mapping[str, str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    backend: str | Function = "inductor",
    atol: float | None = None,
    rtol: float | None = None,
    seed: int = 0,
    dtypes: Iterable[torch.dtype | str] | None = None,
    devices: Iterable[torch.device | str] | None = None,
) -> Subject:
    """Check the arguments of `check`, and gather them.

    Args:
        capabilities: what is to be tried.
        function, reference, samples, derivative, layer, not_applicable, expected_failures, backend,
            atol, rtol, seed, dtypes, devices: as `check` takes them.

    Raises:
        TypeError, ValueError: as `check`.
    """
    given_functions = {"function": function, "reference": reference, "derivative": derivative}
    for what, given in given_functions.items():
        if given is not None or what == "function":
            _assert_callable(what, given)
    conditions = Conditions(as_tolerance("atol", atol), as_tolerance("rtol", rtol), as_seed(seed))
    excuses = as_reasons("not_applicable", not_applicable)
    failures = as_reasons("expected_failures", expected_failures)
    if both := excuses.keys() & failures:
        raise ValueError(f"{min(both)!r} is both in not_applicable and in expected_failures")
    left = [name for name in capabilities if name not in excuses]
    if reference is None and derivative is None:
        _assert_something_is_tried(left)
    compiler = as_backend(backend, left)
    numbers, places = as_dtypes(dtypes), as_devices(devices)
    gathered = as_samples(samples, as_seed(seed))
    for what, given in given_functions.items():
        _assert_fits(what, given, gathered)
    layer = as_layer(layer)
    name, modules = name_of(function), []
    if isinstance(function, nn.Module):
        layer = layer or (function, gathered[0])
        state = {**dict(function.named_parameters()), **dict(function.named_buffers())}
        gathered = tuple(Sample(*sample.args, state, **sample.kwargs) for sample in gathered)
        function, reference, derivative = (
            stateless(function),
            reference if reference is None else stateless(reference),
            derivative if derivative is None else stateless(derivative, "derivative"),
        )
        modules = [part for part in (function, reference, derivative) if isinstance(part, Stateless)]
        for what, part in (("reference", reference), ("derivative", derivative)):
            if isinstance(part, Stateless):
                _assert_alike(modules[0].module, part.module, what)
    _assert_differentiable(gathered)
    if derivative is not None:
        value = function if reference is None else reference
        reference = Stated(value, derivative, is_own=reference is None)
    return Subject(
        function,
        reference,
        gathered,
        name,
        layer,
        excuses,
        failures,
        compiler,
        conditions,
        numbers,
        places,
        tuple(modules),
    )


def _assert_callable(what: str, given: Any) -> None:
    owner = given if isinstance(given, type) else type(given)
    if issubclass(owner, torch.autograd.Function):
        how = "the class" if owner is given else "an instance of"
        raise TypeError(f"{what} is {how} {owner.__name__}, expected its apply: {owner.__name__}.apply")
    if owner is given:
        raise TypeError(f"{what} is the class {owner.__name__}, expected an instance of it")
    if not callable(given):
        hint = "give the function itself" if what == "function" else "give a function, or None"
        raise TypeError(f"{what} must be callable, got {shown(given)}: {hint}")


def _assert_something_is_tried(capabilities: Collection[str]) -> None:
    """Without a reference there is something to try, if anything was to be.

    Raises:
        ValueError: all of it compares with a reference.
    """
    if capabilities and NEED_REFERENCE.issuperset(capabilities):
        raise ValueError(
            f"nothing could be tried: {', '.join(capabilities)} cannot be without a reference; give it "
            "by reference=, or choose other capabilities, as gradcheck"
        )


def _assert_differentiable(samples: Sequence[Sample]) -> None:
    """There are numbers to differentiate by.

    Raises:
        ValueError: no tensor requires grad, all that do are empty, or one holds no numbers.
    """
    tensors = [tensor for sample in samples for tensor in sample.differentiable]
    if not tensors:
        raise ValueError(
            "no tensor of the samples requires grad, so that no derivative could be tried: make "
            "those to differentiate by with requires_grad=True, and in a line without const"
        )
    if not any(tensor.numel() for tensor in tensors):
        raise ValueError(
            "the tensors of the samples that require grad are all empty, so that nothing could be "
            "wrong: give a sample of a few elements, too"
        )
    for index, sample in enumerate(samples):
        if any(tensor.is_meta for tensor in sample.tensors):
            raise ValueError(
                f"sample {index} {sample} has a tensor on the device meta, which holds no numbers: "
                "make it on another"
            )


def _assert_fits(what: str, given: Any, samples: Sequence[Sample]) -> None:
    """The samples are arguments that it takes, as far as its signature tells."""
    for index, sample in enumerate(samples):
        if given is not None:
            _assert_fit(f"sample {index} {sample}", what, given, sample)


def _assert_fit(told: str, what: str, given: Any, sample: Sample) -> None:
    try:
        bind(given, sample)
    except TypeError as error:
        signature = described(given, name_of(given))
        raise TypeError(f"{told} does not fit {what} {signature}: {error}") from None


def as_samples(given: Iterable[Sample | tuple[Any, ...] | str], seed: int) -> tuple[Sample, ...]:
    """The samples; a `Sample` or a line alone is a list of one.

    Raises:
        TypeError: it is no list of samples.
        ValueError: there is none, or a line cannot be read.
    """
    if isinstance(given, (str, Sample)):
        given = [given]
    expected = "a list of samples, each a Sample, a tuple of arguments, or a line, as 'f64[3, 4]'"
    hint = ""
    if isinstance(given, Tensor):
        hint = ": write [(x,)] for f(x)"
    elif isinstance(given, tuple) and any(isinstance(each, Tensor) for each in given):
        hint = ", the arguments of one: write [(x, w)] for f(x, w)"
    elif callable(given):
        hint = ": call it, if it makes them"
    if hint or isinstance(given, Mapping) or not hasattr(type(given), "__iter__"):
        raise TypeError(f"samples must be {expected}, got {shown(given)}{hint}")
    gathered = []
    for index, sample in enumerate(given):
        try:
            gathered.append(as_sample(sample, seed + index))
        except (TypeError, SpecificationError) as error:
            raise type(error)(f"sample {index}: {error}") from None
    if not gathered:
        raise ValueError("no samples were given: at least one is needed to try the function on")
    return tuple(gathered)


def as_sample(sample: Sample | tuple[Any, ...] | str, seed: int = 0) -> Sample:
    """A tuple as the positional arguments that it holds, a string as a specification of them.

    Raises:
        TypeError: it is none of these.
        SpecificationError: a ``ValueError``; the specification cannot be read.
    """
    if isinstance(sample, Sample):
        return sample
    if isinstance(sample, tuple):
        return Sample(*sample)
    if isinstance(sample, str):
        return parse_sample(sample, seed)
    how = "or a line, as 'f64[3, 4], stride=2'"
    if isinstance(sample, Tensor):
        how = "write (x,) for f(x), and (x, w) for f(x, w)"
    elif isinstance(sample, list):
        how = "write the arguments in round brackets"
    elif isinstance(sample, Mapping):
        how = "write Sample(**it) for arguments by name"
    raise TypeError(f"a sample is a Sample or a tuple of arguments, got {type(sample).__name__}; {how}")


def as_layer(given: Any) -> Layer | None:
    """A module with a sample of its inputs; None stays None.

    Raises:
        TypeError: it is no such pair, or the sample does not fit the module.
        ValueError: a line cannot be read.
    """
    if given is None:
        return None
    if not isinstance(given, tuple) or len(given) != 2:
        raise TypeError(
            "layer must be a module and a sample of its inputs, as layer=(module, Sample(x)), got "
            f"{shown(given)}"
        )
    module, sample = given
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"layer=(module, sample) has {shown(module)} for the module, expected an instance of "
            "torch.nn.Module"
        )
    try:
        sample = as_sample(sample)
    except (TypeError, SpecificationError) as error:
        raise type(error)(f"layer=(module, sample): {error}") from None
    _assert_fit(f"layer=(module, sample): {sample}", "the module", module, sample)
    return module, sample


def stateless(module: Function, what: str = "reference") -> Stateless:
    """A module as a function of its arguments and, last, of its parameters and buffers.

    Raises:
        TypeError: the reference, or the derivative, of a module is no module.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"the {what} of a module must be a module, got {shown(module)}")
    return Stateless(module)


def _assert_alike(function: nn.Module, other: nn.Module, what: str) -> None:
    """A module that is compared with another has no parameters but those that both are given.

    Raises:
        ValueError: it has one that the function has not, or of another shape.
    """
    own = {name: list(weight.shape) for name, weight in function.named_parameters()}
    for name, weight in other.named_parameters():
        if own.get(name) != list(weight.shape):
            theirs = f"of {own[name]} in the function" if name in own else "not in the function"
            raise ValueError(
                f"the {what}'s parameter {name} of {list(weight.shape)} is {theirs}, which has "
                f"{', '.join(own) or 'none'}: both are given the same, by name, so name them alike"
            )


def name_of(function: Function) -> str:
    """What to call a function in a report; the ``apply`` of a Function goes by the Function's name."""
    owner = getattr(function, "__self__", None)
    name: str = getattr(function, "__name__", type(function).__name__)
    return f"{owner.__name__}.{name}" if isinstance(owner, type) else name
