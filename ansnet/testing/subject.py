"""What is checked: a function, what it is compared with, and the samples to try it on."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ansnet.testing.capabilities import (
    CAPABILITIES,
    ESSENTIAL,
    IN_FLOAT64,
    MOST_SAMPLES,
    Capability,
    capability_name,
)
from ansnet.testing.case import (
    BeyondReference,
    Case,
    FailsAlone,
    Function,
    Layer,
    NotApplicable,
    Sample,
    Stated,
    Vacuous,
)
from ansnet.testing.causes import Cause
from ansnet.testing.comparison import Conditions, under
from ansnet.testing.diagnosis import Diagnose, at_once, unknown
from ansnet.testing.draws import DrawnInOrder
from ansnet.testing.messages import is_comparison
from ansnet.testing.preparation import prepared
from ansnet.testing.report import Result, Row, summary
from ansnet.testing.sample import is_dense
from ansnet.testing.seeds import generators_left_alone
from ansnet.testing.stateless import Stateless, restore, restored

# Where a random number for each element makes other results: for other dtypes others are drawn.
DRAWN_OTHERWISE = {"dtypes", "devices"}
# And where numbers are drawn in the order of memory, which is another.
IN_MEMORY = {"channels last", "strided views", "expanded views", "negative views"}
# What asks for gradients in a way that takes no notice of ``.grad``.
BY_AUTOGRAD_GRAD = {
    "gradcheck",
    "gradgradcheck",
    "batched gradients",
    "forward mode",
    "jacobian",
    "hessian",
    "per sample gradients",
    "gradient through vmap",
    "checkpoint",
    "backward twice",
}
WITHOUT_LIMIT = {"forward", "gradients", "gradcheck"}  # these a sparse argument does not hinder
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?|-?\d+e[+-]?\d+")
OF_FLOAT32 = 1e-3  # some thousand roundings: of float32's derivatives of derivatives


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
    dtypes: tuple[torch.dtype, ...] | None = None
    devices: tuple[torch.device, ...] | None = None
    modules: tuple[Stateless, ...] = ()
    cases: dict[int, Case] = field(default_factory=dict, repr=False, compare=False)

    @property
    def essential(self) -> tuple[str, ...]:
        """The capabilities without which a report says nothing."""
        stated = ("gradcheck",) if isinstance(self.reference, Stated) else ()
        return ESSENTIAL[self.reference is not None] + stated

    def row(self, capability: str, diagnose: Diagnose = at_once) -> Row:
        """Try one capability on every sample.

        Args:
            capability: its name.
            diagnose: how to find the cause where it fails; see `diagnosis.cause_of`.

        Raises:
            ValueError: the function returns no tensor.
        """
        if capability in self.not_applicable:
            return Row(capability, Result.NOT_APPLICABLE, self.not_applicable[capability], excused=True)
        # whoever calls may have switched gradients off
        with torch.inference_mode(False), torch.enable_grad():
            row = self._tried(
                capability, diagnose if capability not in self.expected_failures else unknown
            )
        if capability not in self.expected_failures:
            return row
        reason = self.expected_failures[capability]
        if row.result is Result.FAIL:
            return replace(row, result=Result.EXPECTED_FAILURE, detail=f"{reason}: {row.detail}")
        what = "it passes" if row.result is Result.PASS else f"it was not tried ({row.detail})"
        detail = f"expected to fail ({reason}), but {what}: take it out of expected_failures"
        return Row(capability, Result.FAIL, detail)

    def _tried(self, capability: str, diagnose: Diagnose) -> Row:
        passed, reasons, beyond = False, [], []
        for index, sample in enumerate(self.samples[: MOST_SAMPLES.get(capability)]):
            try:
                with generators_left_alone(), restored(self.modules), under(self.conditions):
                    case = self._case(index)
                    with under(conditions_for(case, self.conditions)), ungraded(case.captured):
                        note = noted(run(CAPABILITIES[capability], case), capability, case)
            except Vacuous:
                raise
            except BeyondReference as reason:
                beyond.append(f"sample {index} {sample}: {reason}")
            except NotApplicable as reason:
                reasons.append(str(reason))
            except Exception as error:
                detail = f"sample {index} {sample}: {summary(error)}"
                cause = self._cause(capability, index, error, diagnose)
                return Row(capability, Result.FAIL, detail, error, cause=cause)
            else:
                passed = True
                beyond += [f"sample {index} {sample}: {note}"] if note else []
        details = beyond if passed else beyond + reasons
        result = Result.PASS if passed else Result.NOT_APPLICABLE
        return Row(capability, result, "; ".join(dict.fromkeys(details)))

    def _cause(self, capability: str, index: int, error: Exception, diagnose: Diagnose) -> Cause | None:
        try:
            with generators_left_alone(), restored(self.modules), under(self.conditions):
                case = self._case(index)
                with under(conditions_for(case, self.conditions)), ungraded(case.captured):
                    return diagnose(capability, CAPABILITIES[capability], case, error)
        except Exception:  # better no cause than no row
            return None

    def _case(self, index: int) -> Case:
        """A sample's case; what has to be found out of the function is so once a process."""
        if index not in self.cases:
            others = self.samples[:index] + self.samples[index + 1 :]
            case = Case(
                self.function,
                self.reference,
                self.samples[index],
                self.layer if index == 0 else None,
                self.backend,
                others=tuple(sample.map(torch.clone) for sample in others),
                devices=self.devices,
            )
            self.cases[index] = prepared(case, self.dtypes)
            restore(self.modules)
        return self.cases[index]


@contextmanager
def ungraded(captured: Sequence[Tensor]) -> Iterator[None]:
    """Afterwards the tensors have the gradients that they had: a closure's weight is the user's."""
    before = [(tensor, tensor.grad) for tensor in captured if tensor.is_leaf and tensor.requires_grad]
    try:
        yield
    finally:
        for tensor, gradient in before:
            tensor.grad = gradient


def conditions_for(case: Case, given: Conditions) -> Conditions:
    """The conditions, with bounds that fit the rounding of float32 where float64 is not tried."""
    if torch.float64 in case.dtypes or given.atol is not None or given.rtol is not None:
        return given
    return replace(given, atol=OF_FLOAT32, rtol=OF_FLOAT32)


def noted(note: str | None, capability: str, case: Case) -> str | None:
    """A row's note, and that a row which is of float64 was tried in float32, if so."""
    if capability not in IN_FLOAT64 or torch.float64 in case.dtypes:
        return note
    where = f"in float32, where numbers may differ by {OF_FLOAT32:g}"
    return f"{note}; {where}" if note else where


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
    except Exception as failed:
        if reason := limit_of_pytorch(check, case, failed):
            raise NotApplicable(reason) from None
        if case.excuse is None:
            raise
        excuse = replace(fresh(case), function=case.excuse, reference=case.excuse, layer=None)
        if beyond := failure(check, excuse, failed):
            raise BeyondReference(f"the reference cannot either: {beyond}") from None
        raise


def limit_of_pytorch(check: Capability, case: Case, error: Exception) -> str | None:
    """Why a capability can be asked of no function of this kind; None if there is no such reason."""
    name = capability_name(check)
    if "torch.utils.checkpoint is incompatible with .grad()" in str(error):
        return "PyTorch refuses torch.autograd.grad through a reentrant checkpoint"
    if case.adds_to_grad and name in BY_AUTOGRAD_GRAD:
        return "its backward adds to .grad itself, which torch.autograd.grad does not return"
    if isinstance(error, AssertionError):
        if case.is_random and name in DRAWN_OTHERWISE:
            return "it draws random numbers, and others for another dtype"
        return None
    sparse = any(not is_dense(tensor) for tensor in case.sample.tensors)
    if sparse and "sparse" in str(error).lower() and name not in WITHOUT_LIMIT:
        return f"PyTorch does not do this with sparse tensors: {summary(error)}"
    return None


def attempt(check: Capability, case: Case) -> str | None:
    """Run a check; random numbers are drawn in the order of the axes where memory has another.

    PyTorch's forward mode, as it loads, warns of a deprecation of its own.
    """
    in_order = case.is_random and capability_name(check) in IN_MEMORY
    with warnings.catch_warnings(), DrawnInOrder() if in_order else nullcontext():
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated")
        return check(case)


def failure(check: Capability, case: Case, failed: Exception) -> str | None:
    """The error in which a check ends for a reference, and which excuses that of the function.

    An error that was raised before anything could be compared excuses another such one. Wrong numbers
    are excused by the same wrong numbers only.
    """
    try:
        attempt(check, case)
    except NotApplicable:
        return None
    except Exception as error:
        compared = is_comparison(failed), is_comparison(error)
        is_excuse = not any(compared) or (all(compared) and same_numbers(failed, error))
        return summary(error) if is_excuse else None
    return None


def same_numbers(one: Exception, other: Exception) -> bool:
    """Whether two errors say the same, of nearly the same numbers."""
    told = [NUMBER.sub(lambda found: f"{float(found[0]):.3g}", str(error)) for error in (one, other)]
    return type(one) is type(other) and told[0] == told[1]


def fresh(case: Case) -> Case:
    """The case with copies of its tensors."""
    return replace(case, sample=case.sample.map(torch.clone))
