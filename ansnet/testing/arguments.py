"""The arguments of `ansnet.testing.check`, looked at and gathered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ansnet.testing.capabilities import known
from ansnet.testing.case import Function, Layer, Sample, Stated
from ansnet.testing.comparison import Conditions
from ansnet.testing.signatures import bind, described
from ansnet.testing.specification import parse_sample
from ansnet.testing.stateless import Stateless
from ansnet.testing.subject import Subject


def subject(
    function: Function | nn.Module,
    reference: Function | nn.Module | None,
    samples: Iterable[Sample | tuple[Any, ...] | str],
    *,
    derivative: Function | nn.Module | None = None,
    layer: Layer | None = None,
    not_applicable: Mapping[str, str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    backend: str = "inductor",
    atol: float | None = None,
    rtol: float | None = None,
    seed: int = 0,
    dtypes: Iterable[torch.dtype] | None = None,
    devices: Iterable[torch.device | str] | None = None,
) -> Subject:
    """Check the arguments of `check`, and gather them.

    Raises:
        TypeError, ValueError: as `check`.
    """
    callable_or_none = {"function": function, "reference": reference, "derivative": derivative}
    for what, given in callable_or_none.items():
        if given is not None or what == "function":
            _assert_callable(what, given)
    if isinstance(samples, (str, Sample)):
        samples = [samples]
    gathered = tuple(as_sample(sample, seed + index) for index, sample in enumerate(samples))
    if not gathered:
        raise ValueError("no samples were given: at least one is needed to try the function on")
    excuses, failures = dict(not_applicable or {}), dict(expected_failures or {})
    if both := excuses.keys() & known(failures):
        raise ValueError(f"{min(both)!r} is both in not_applicable and in expected_failures")
    known(excuses)
    for what, given in callable_or_none.items():
        _assert_fits(what, given, gathered)
    name, modules = name_of(function), []
    if isinstance(function, nn.Module):
        layer = layer or (function, gathered[0])
        state = {**dict(function.named_parameters()), **dict(function.named_buffers())}
        gathered = tuple(Sample(*sample.args, state, **sample.kwargs) for sample in gathered)
        function, reference, derivative = (
            stateless(function),
            reference and stateless(reference),
            derivative and stateless(derivative),
        )
        modules = [part for part in (function, reference, derivative) if isinstance(part, Stateless)]
    if not any(sample.differentiable for sample in gathered):
        raise ValueError(
            "no tensor of the samples requires grad, so that no derivative could be tried: make "
            "those to differentiate by with requires_grad=True, and in a line without const"
        )
    if derivative is not None:
        reference = Stated(reference or function, derivative, is_own=reference is None)
    return Subject(
        function,
        reference,
        gathered,
        name,
        layer,
        excuses,
        failures,
        backend,
        Conditions(atol, rtol, seed),
        as_dtypes(dtypes),
        as_devices(devices),
        tuple(modules),
    )


def _assert_callable(what: str, given: Any) -> None:
    if isinstance(given, type):
        hint = "an instance of it"
        if issubclass(given, torch.autograd.Function):
            hint = f"its apply: {given.__name__}.apply"
        raise TypeError(f"{what} is the class {given.__name__}, expected {hint}")
    if not callable(given):
        raise TypeError(f"{what} must be callable, got {given!r}")


def _assert_fits(what: str, given: Any, samples: Sequence[Sample]) -> None:
    """The samples are arguments that it takes, as far as its signature tells."""
    for index, sample in enumerate(samples):
        try:
            if given is not None:
                bind(given, sample)
        except TypeError as error:
            signature = described(given, name_of(given))
            raise TypeError(
                f"sample {index} {sample} does not fit {what} {signature}: {error}"
            ) from None


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
    raise TypeError(
        f"a sample is a Sample or a tuple of arguments, got {type(sample).__name__}; or a line, as "
        "'f64[3, 4], stride=2'"
    )


def stateless(module: Function) -> Stateless:
    """A module as a function of its arguments and, last, of its parameters and buffers.

    Raises:
        TypeError: the reference of a module is no module.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"the reference of a module must be a module, got {module!r}")
    return Stateless(module)


def as_devices(given: Iterable[torch.device | str] | None) -> tuple[torch.device, ...] | None:
    """The devices by name.

    Raises:
        ValueError: one is not there.
    """
    if given is None:
        return None
    devices = []
    for name in [given] if isinstance(given, (str, torch.device)) else given:
        try:
            devices.append(torch.empty(0, device=name).device)
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"devices={name!r} is not on this machine: {reason}") from None
    return tuple(devices)


def as_dtypes(given: Iterable[torch.dtype] | None) -> tuple[torch.dtype, ...] | None:
    """The dtypes in which a function works, without repetition.

    Raises:
        TypeError: one is not a dtype.
        ValueError: there is none, or one is not of floating point.
    """
    if given is None:
        return None
    dtypes = tuple(dict.fromkeys([given] if isinstance(given, torch.dtype) else given))
    if not dtypes:
        raise ValueError("dtypes is empty: name those in which the function works, or leave it out")
    for dtype in dtypes:
        if not isinstance(dtype, torch.dtype):
            raise TypeError(f"dtypes takes torch.float64 and the like, got {dtype!r}")
        if not dtype.is_floating_point:
            raise ValueError(
                f"dtypes takes dtypes of floating point, got {dtype}: complex numbers follow"
            )
    return dtypes


def name_of(function: Function) -> str:
    """What to call a function in a report; the ``apply`` of a Function goes by the Function's name."""
    owner = getattr(function, "__self__", None)
    name: str = getattr(function, "__name__", type(function).__name__)
    return f"{owner.__name__}.{name}" if isinstance(owner, type) else name
