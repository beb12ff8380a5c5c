"""The battery of capabilities, and the ways to run it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from ansnet.testing import (
    compiled,
    compositions,
    conduct,
    derivatives,
    layouts,
    precision,
    transforms,
    values,
)
from ansnet.testing.case import (
    BeyondReference,
    Case,
    FailsAlone,
    Function,
    Layer,
    NotApplicable,
    Sample,
)
from ansnet.testing.report import Report, Result, Row, summary

# Raises if a function does not have the capability; may return a note of what was left out.
Capability = Callable[[Case], str | None]

CAPABILITIES: dict[str, Capability] = {
    check.__name__.replace("_", " "): check
    for check in (
        derivatives.forward,
        derivatives.gradients,
        derivatives.gradcheck,
        derivatives.gradgradcheck,
        derivatives.forward_mode,
        derivatives.jacobian,
        derivatives.hessian,
        derivatives.subsets_of_gradients,
        derivatives.gradient_dtypes,
        transforms.vmap,
        transforms.per_sample_gradients,
        compositions.gradient_through_vmap,
        compositions.one_tensor_in_two_places,
        transforms.compile,
        transforms.compile_dynamic_shapes,
        compiled.compiled_transformations,
        transforms.export,
        transforms.meta,
        transforms.fake_tensors,
        precision.autocast_bfloat16,
        precision.autocast_float16,
        values.accuracy,
        values.non_finite_values,
        layouts.channels_last,
        layouts.strided_views,
        layouts.expanded_views,
        layouts.negative_views,
        layouts.gradients_of_stride_0,
        layouts.strided_gradients,
        layouts.zero_size_batch,
        layouts.second_derivative_of_empty_batches,
        conduct.inputs_unchanged,
        conduct.without_gradients,
        conduct.needless_work,
        conduct.saved_tensors_freed,
        conduct.saved_tensors_guarded,
        conduct.backward_twice,
        conduct.no_memory_growth,
        conduct.deterministic,
        conduct.checkpoint,
        conduct.saved_tensor_hooks,
        conduct.pickle_and_copy,
        precision.cuda,
    )
}

# What takes seconds is tried on the first samples only.
MOST_SAMPLES = {"compiled transformations": 1}


@dataclass(frozen=True)
class Subject:
    """A function, what it is compared with, and the samples to try it on; arguments as `check`."""

    function: Function
    reference: Function | None
    samples: tuple[Sample, ...]
    layer: Layer | None
    not_applicable: Mapping[str, str]
    backend: str

    def row(self, capability: str) -> Row:
        """Try one capability on every sample."""
        if capability in self.not_applicable:
            return Row(capability, Result.NOT_APPLICABLE, self.not_applicable[capability])
        passed, reasons, beyond = False, [], []
        for index, sample in enumerate(self.samples[: MOST_SAMPLES.get(capability)]):
            layer = self.layer if index == 0 else None
            try:
                note = run(capability, Case(self.function, self.reference, sample, layer, self.backend))
            except BeyondReference as reason:
                beyond.append(f"sample {index} {sample}: {reason}")
            except NotApplicable as reason:
                reasons.append(str(reason))
            except Exception as error:
                detail = f"sample {index} {sample}: {summary(error)}"
                return Row(capability, Result.FAIL, detail, error)
            else:
                passed = True
                beyond += [f"sample {index} {sample}: {note}"] if note else []
        details = beyond if passed else beyond + reasons
        result = Result.PASS if passed else Result.NOT_APPLICABLE
        return Row(capability, result, "; ".join(dict.fromkeys(details)))


def run(capability: str, case: Case) -> str | None:
    """Try one capability on one sample. No more is asked of a function than its reference can do.

    Returns:
        A note of what was left out, if anything was.

    Raises:
        NotApplicable: it makes no sense there, or the reference raises an error likewise.
        Exception: whatever the function, or the comparison, raises.
    """
    check = CAPABILITIES[capability]
    try:
        return attempt(check, fresh(case))
    except (NotApplicable, FailsAlone):
        raise
    except Exception:
        if case.reference is None:
            raise
        if reason := failure(check, replace(fresh(case), function=case.reference, layer=None)):
            raise BeyondReference(f"the reference cannot either: {reason}") from None
        raise


def attempt(check: Capability, case: Case) -> str | None:
    """Run a check; PyTorch's forward mode, as it loads, warns of a deprecation of its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
        return check(case)


def failure(check: Capability, case: Case) -> str | None:
    """The error in which a check ends before it can compare anything; None if there is none."""
    try:
        attempt(check, case)
    except (AssertionError, NotApplicable):
        return None
    except Exception as error:
        return summary(error)
    return None


def fresh(case: Case) -> Case:
    """The case with copies of its tensors."""
    return replace(case, sample=case.sample.map(torch.clone))


def subject(
    function: Function | nn.Module,
    reference: Function | nn.Module | None,
    samples: Iterable[Sample | tuple[Any, ...]],
    *,
    layer: Layer | None = None,
    not_applicable: Mapping[str, str] | None = None,
    backend: str = "inductor",
) -> Subject:
    """Check the arguments of `check`, and gather them.

    Raises:
        TypeError: a sample is no `Sample` and no tuple of arguments, or the function not callable.
        ValueError: there are no samples, or ``not_applicable`` names an unknown capability.
    """
    if not callable(function) or not (reference is None or callable(reference)):
        raise TypeError(f"function and reference must be callable, got {function!r} and {reference!r}")
    gathered = tuple(as_sample(sample) for sample in samples)
    if not gathered:
        raise ValueError("no samples were given: at least one is needed to try the function on")
    excuses = dict(not_applicable or {})
    for capability in excuses:
        known(capability)
    if isinstance(function, nn.Module):
        layer = layer or (function, gathered[0])
        state = {**dict(function.named_parameters()), **dict(function.named_buffers())}
        gathered = tuple(Sample(*sample.args, state, **sample.kwargs) for sample in gathered)
        function, reference = stateless(function), reference and stateless(reference)
    return Subject(function, reference, gathered, layer, excuses, backend)


def as_sample(sample: Sample | tuple[Any, ...]) -> Sample:
    """A tuple as the positional arguments that it holds.

    Raises:
        TypeError: it is neither a sample nor a tuple.
    """
    if isinstance(sample, Sample):
        return sample
    if isinstance(sample, tuple):
        return Sample(*sample)
    raise TypeError(f"a sample is a Sample or a tuple of arguments, got {type(sample).__name__}")


def stateless(module: Function) -> Function:
    """A module as a function of its arguments and, last, of its parameters and buffers.

    Raises:
        TypeError: the reference of a module is no module.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"the reference of a module must be a module, got {module!r}")

    def function(*arguments: Any, **kwargs: Any) -> Any:
        *inputs, state = arguments
        return functional_call(module, state, tuple(inputs), kwargs)

    return function


def check(
    function: Function | nn.Module,
    reference: Function | nn.Module | None,
    samples: Iterable[Sample | tuple[Any, ...]],
    *,
    layer: Layer | None = None,
    not_applicable: Mapping[str, str] | None = None,
    backend: str = "inductor",
    only: Iterable[str] = CAPABILITIES,
) -> Report:
    """Try a differentiable function in every way in which PyTorch may use it.

    Args:
        function: takes tensors and other arguments, returns a tensor or several; its own
            `torch.autograd.Function` or any other. A module is tried as a function of its
            inputs, parameters and buffers.
        reference: the function that it should equal, with the same arguments. None: the capabilities
            that need none are tried.
        samples: arguments to try, each a `Sample` or a tuple of positional arguments.
        layer: a module that applies the function, with a sample of the module's inputs; for the
            capability *pickle and copy*.
        not_applicable: for capabilities that make no sense for this function, the reason.
        backend: of `torch.compile`; "inductor" needs a C++ compiler, "aot_eager" does not.
        only: the capabilities to try; all of `CAPABILITIES` unless given.

    Returns:
        A report that prints as a table, one row a capability.

    Raises:
        TypeError: an argument is not of the kind described here.
        ValueError: there are no samples, or a capability is unknown.

    Example:
        >>> x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
        >>> report = check(torch.sin, torch.sin, [Sample(x)], only=["forward", "gradcheck"])
        >>> print(report)
        sin
          forward    pass
          gradcheck  pass
        2 passed, 0 failed, 0 not applicable
    """
    tried = subject(
        function, reference, samples, layer=layer, not_applicable=not_applicable, backend=backend
    )
    return Report(name_of(function), tuple(tried.row(known(capability)) for capability in only))


def known(capability: str) -> str:
    """The capability's name.

    Raises:
        ValueError: there is none of that name.
    """
    if capability not in CAPABILITIES:
        raise ValueError(f"unknown capability {capability!r}: choose from {', '.join(CAPABILITIES)}")
    return capability


def name_of(function: Function) -> str:
    """What to call a function in a report; the ``apply`` of a Function goes by the Function's name."""
    owner = getattr(function, "__self__", None)
    name: str = getattr(function, "__name__", type(function).__name__)
    return f"{owner.__name__}.{name}" if isinstance(owner, type) else name


@dataclass(frozen=True)
class CapabilityTest:
    """One capability of one function, for a test to call."""

    subject: Subject
    capability: str

    def row(self) -> Row:
        """What comes of it."""
        return self.subject.row(self.capability)

    def __call__(self) -> None:
        """Pass, or skip with the reason.

        Raises:
            AssertionError: the capability fails; the message names the sample.
        """
        import pytest

        row = self.row()
        if row.result is Result.NOT_APPLICABLE:
            pytest.skip(row.detail)
        if row.result is Result.FAIL:
            raise AssertionError(f"{self.capability}: {row.detail}") from row.error


def parametrize_capabilities(
    function: Function | nn.Module,
    reference: Function | nn.Module | None,
    samples: Iterable[Sample | tuple[Any, ...]],
    **options: Any,
) -> Any:
    """A pytest decorator: one test for each capability, passed in as ``capability``.

    Args:
        function, reference, samples, options: as `check` takes them.

    Returns:
        The decorator.

    Raises:
        TypeError, ValueError: as `check`.

    Example::

        @parametrize_capabilities(my_relu, torch.relu, [Sample(x)])
        def test_my_relu(capability):
            capability()
    """
    import pytest

    only = options.pop("only", CAPABILITIES)
    tried = subject(function, reference, samples, **options)
    tests = [pytest.param(CapabilityTest(tried, known(name)), id=name) for name in only]
    return pytest.mark.parametrize("capability", tests)
