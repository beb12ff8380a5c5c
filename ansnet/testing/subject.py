"""What is checked: a function, what it is compared with, and the samples to try it on."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from ansnet.testing.capabilities import CAPABILITIES, ESSENTIAL, MOST_SAMPLES, Capability, known
from ansnet.testing.case import (
    BeyondReference,
    Case,
    Conditions,
    FailsAlone,
    Function,
    Layer,
    NotApplicable,
    Sample,
    Stated,
    Vacuous,
    under,
)
from ansnet.testing.report import Result, Row, summary


@dataclass(frozen=True)
class Subject:
    """A function, what it is compared with, and the samples to try it on; arguments as `check`."""

    function: Function
    reference: Function | None
    samples: tuple[Sample, ...]
    name: str = ""
    layer: Layer | None = None
    not_applicable: Mapping[str, str] = field(default_factory=dict)
    expected_failures: Mapping[str, str] = field(default_factory=dict)
    backend: str = "inductor"
    conditions: Conditions = field(default_factory=Conditions)

    @property
    def essential(self) -> tuple[str, ...]:
        """The capabilities without which a report says nothing."""
        return ESSENTIAL[self.reference is not None]

    def row(self, capability: str) -> Row:
        """Try one capability on every sample.

        Raises:
            ValueError: the function returns no tensor.
        """
        if capability in self.not_applicable:
            return Row(capability, Result.NOT_APPLICABLE, self.not_applicable[capability], excused=True)
        row = self._tried(capability)
        if capability not in self.expected_failures:
            return row
        reason = self.expected_failures[capability]
        if row.result is Result.FAIL:
            return replace(row, result=Result.EXPECTED_FAILURE, detail=f"{reason}: {row.detail}")
        what = "it passes" if row.result is Result.PASS else f"it was not tried ({row.detail})"
        detail = f"expected to fail ({reason}), but {what}: take it out of expected_failures"
        return Row(capability, Result.FAIL, detail)

    def _tried(self, capability: str) -> Row:
        passed, reasons, beyond = False, [], []
        for index, sample in enumerate(self.samples[: MOST_SAMPLES.get(capability)]):
            layer = self.layer if index == 0 else None
            case = Case(self.function, self.reference, sample, layer, self.backend)
            try:
                with under(self.conditions):
                    note = run(CAPABILITIES[capability], case)
            except Vacuous:
                raise
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


def run(check: Capability, case: Case) -> str | None:
    """Try one capability on one sample. No more is asked of a function than its reference can do.

    Returns:
        A note of what was left out, if anything was.

    Raises:
        NotApplicable: it makes no sense there, or the reference raises an error likewise.
        Exception: whatever the function, or the comparison, raises.
    """
    try:
        return attempt(check, fresh(case))
    except (NotApplicable, FailsAlone, Vacuous):
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
    derivative: Function | nn.Module | None = None,
    layer: Layer | None = None,
    not_applicable: Mapping[str, str] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    backend: str = "inductor",
    atol: float | None = None,
    rtol: float | None = None,
    seed: int = 0,
) -> Subject:
    """Check the arguments of `check`, and gather them.

    Raises:
        TypeError, ValueError: as `check`.
    """
    callable_or_none = {"function": function, "reference": reference, "derivative": derivative}
    for what, given in callable_or_none.items():
        if given is not None or what == "function":
            _assert_callable(what, given)
    gathered = tuple(as_sample(sample) for sample in samples)
    if not gathered:
        raise ValueError("no samples were given: at least one is needed to try the function on")
    if not isinstance(function, nn.Module) and not any(sample.differentiable for sample in gathered):
        raise ValueError(
            "no tensor of the samples requires grad, so that no derivative could be tried: make "
            "those to differentiate by with requires_grad=True"
        )
    excuses, failures = dict(not_applicable or {}), dict(expected_failures or {})
    if both := excuses.keys() & known(failures):
        raise ValueError(f"{min(both)!r} is both in not_applicable and in expected_failures")
    known(excuses)
    name = name_of(function)
    if isinstance(function, nn.Module):
        layer = layer or (function, gathered[0])
        state = {**dict(function.named_parameters()), **dict(function.named_buffers())}
        gathered = tuple(Sample(*sample.args, state, **sample.kwargs) for sample in gathered)
        function, reference, derivative = (
            stateless(function),
            reference and stateless(reference),
            derivative and stateless(derivative),
        )
    if derivative is not None:
        reference = Stated(reference or function, derivative)
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
    )


def _assert_callable(what: str, given: Any) -> None:
    if isinstance(given, type):
        hint = "an instance of it"
        if issubclass(given, torch.autograd.Function):
            hint = f"its apply: {given.__name__}.apply"
        raise TypeError(f"{what} is the class {given.__name__}, expected {hint}")
    if not callable(given):
        raise TypeError(f"{what} must be callable, got {given!r}")


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


def name_of(function: Function) -> str:
    """What to call a function in a report; the ``apply`` of a Function goes by the Function's name."""
    owner = getattr(function, "__self__", None)
    name: str = getattr(function, "__name__", type(function).__name__)
    return f"{owner.__name__}.{name}" if isinstance(owner, type) else name
