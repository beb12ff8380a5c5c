"""Capabilities: lower precision, and another device."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ansnet.testing.case import (
    BeyondReference,
    Case,
    Evaluation,
    Function,
    NotApplicable,
    Sample,
    Stated,
    assert_same_evaluation,
    call,
    evaluate,
    has_derivative,
)
from ansnet.testing.comparison import require
from ansnet.testing.derivatives import assert_gradient_dtypes
from ansnet.testing.report import summary
from ansnet.testing.sample import is_dense

LEAST, ROUNDINGS = 1e-6, 16  # see `dtypes`


def autocast_bfloat16(case: Case) -> None:
    """Under autocast to bfloat16 the dtypes are the reference's, and the errors at most twice its."""
    _assert_autocast(case, torch.bfloat16)


def autocast_float16(case: Case) -> None:
    """Likewise to float16."""
    _assert_autocast(case, torch.float16)


def _assert_autocast(case: Case, dtype: torch.dtype) -> None:
    if any(tensor.is_complex() for tensor in case.sample.tensors):
        raise NotApplicable("autocast leaves complex numbers alone")
    if torch.float32 not in case.dtypes:
        raise NotApplicable(f"it does not work in float32, only in {names_of(case.dtypes)}")
    single = case.sample.to(torch.float32)
    precise = torch.float64 if torch.float64 in case.dtypes else torch.float32
    written = bool(case.written)
    for sample in (single, _activations_in(dtype, single)):
        exact = evaluate(case.function, sample.to(precise))
        actual = evaluate(_under_autocast(case.function, dtype), sample)
        expected = evaluate(_under_autocast(case.reference or case.function, dtype), sample)
        _assert_rounded("output", actual.outputs, expected.outputs, exact.outputs, dtype, written)
        _assert_rounded(
            "gradient", actual.gradients, expected.gradients, exact.gradients, dtype, written
        )
        if sample.differentiable:
            assert_gradient_dtypes(call(_under_autocast(case.function, dtype), sample.map(torch.clone)))


def _activations_in(dtype: torch.dtype, sample: Sample) -> Sample:
    """The first tensor, the activations, already in lower precision, as within a network."""
    first, *others = sample.tensors
    converted = first.detach().to(dtype) if first.is_floating_point() else first.detach()
    return sample.replace([converted.requires_grad_(first.requires_grad), *others])


def _under_autocast(function: Function, dtype: torch.dtype) -> Function:
    """The forward alone: a backward runs outside of autocast."""

    def under_autocast(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast("cpu", dtype):
            return function(*args, **kwargs)

    return under_autocast


def _assert_rounded(
    what: str,
    actual: list[Tensor],
    expected: list[Tensor],
    exact: list[Tensor],
    dtype: torch.dtype,
    is_written: bool,
) -> None:
    """The dtypes are those of the reference, and the error at most twice its, and two roundings."""
    for one, other, truth in zip(actual, expected, exact, strict=True):
        if not is_written:  # what is changed in place keeps its dtype
            require(one.dtype == other.dtype, f"{what} is {one.dtype}, expected {other.dtype}")
        if truth.numel() == 0 or not truth.is_floating_point():
            continue
        lost = ~one.isfinite() & other.isfinite() & truth.isfinite()
        if lost.any():
            place = tuple(lost.nonzero()[0].tolist())
            told = f"the reference's is {other[place].item():.6g}"
            require(False, f"{what} is {one[place].item()} at index {place}, {told}")
        finite = one.isfinite() & other.isfinite() & truth.isfinite()
        one, other, truth = (tensor.where(finite, 0) for tensor in (one, other, truth))
        error, allowed = ((tensor - truth).abs().max().item() for tensor in (one, other))
        bound = 2 * allowed + 2 * torch.finfo(dtype).eps * truth.abs().max().item()
        require(error <= bound, f"{what} is wrong by {error:.3g}, bound {bound:.3g}")


def names_of(dtypes: Sequence[torch.dtype]) -> str:
    """``float64 and float32``."""
    return " and ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)


def dtypes(case: Case) -> str | None:
    """In each dtype in which it works outputs and gradients are the reference's, and in that dtype.

    Numbers may differ by √ε of the largest, or 10⁻⁶ of it, and, for where the result is 0, by 16
    roundings of the largest argument or output: what that leaves other rows see. Without a reference,
    they are compared with those in the most precise of the dtypes, and have no fewer digits than the
    inputs.
    """
    beyond = []
    # its own value is what a function without a reference is stated to have
    stated = case.reference and not (isinstance(case.reference, Stated) and case.reference.is_own)
    best = max(case.dtypes, key=lambda dtype: -torch.finfo(dtype).eps)
    for dtype in case.dtypes:
        sample = case.sample.to(dtype)
        try:
            if case.reference is None:
                expected = evaluate(case.function, case.sample.to(best))
            else:
                expected = evaluate(case.reference, sample)
        except Exception as error:
            if case.reference is None or case.excuse is not case.reference:
                raise
            beyond.append(f"the reference does not work in {dtype}: {summary(error)}")
            continue
        actual = evaluate(case.function, sample)
        name = str(dtype).removeprefix("torch.")
        # the rounding of what a result that is 0 is a sum of
        floor = ROUNDINGS * torch.finfo(dtype).eps * _largest([*sample.tensors, *expected.outputs])
        for what, found, known in (
            ("output", actual.outputs, expected.outputs),
            ("gradient", actual.gradients, expected.gradients),
        ):
            for one, other in zip(found, known, strict=True):
                if stated:
                    require(
                        one.dtype == other.dtype,
                        f"{what} in {name} is {one.dtype}, expected {other.dtype}",
                    )
                elif has_derivative(one):
                    require(
                        torch.finfo(one.dtype).eps <= torch.finfo(dtype).eps,
                        f"{what} in {name} is {one.dtype}, of fewer digits",
                    )
                bound = max(torch.finfo(dtype).eps ** 0.5, LEAST) * _largest([other]) + floor
                _assert_near(f"{what} in {name}", one, other, bound)
        for gradient, tensor in zip(actual.gradients, sample.differentiable, strict=True):
            require(gradient.dtype == tensor.dtype, f"gradient in {name} is {gradient.dtype}")
    if len(beyond) == len(case.dtypes):
        raise BeyondReference("; ".join(beyond))
    return "; ".join(beyond) or None


def _largest(tensors: Sequence[Tensor]) -> float:
    """The largest finite absolute value among numbers of floating point."""
    values = [
        tensor.detach().double().nan_to_num(0, 0, 0).abs().max().item()
        for tensor in tensors
        if tensor.is_floating_point() and is_dense(tensor) and tensor.numel()
    ]
    return max(values, default=0.0)


def _assert_near(what: str, one: Tensor, other: Tensor, bound: float) -> None:
    require(one.shape == other.shape, f"{what} has shape {list(one.shape)}, not {list(other.shape)}")
    if not other.is_floating_point() or other.numel() == 0 or not is_dense(other):
        return
    close = one.double().isclose(other.double(), 0, bound, equal_nan=True)
    if not close.all():
        error = (one.double() - other.double()).abs().where(~close, 0).max().item()
        require(False, f"{what} is wrong by {error:.3g}, bound {bound:.3g}")


def _on(device: torch.device, tensor: Tensor) -> Tensor:
    return tensor.to(device)


def devices(case: Case) -> str:
    """On each device outputs and gradients are the reference's there, or those on the CPU."""
    chosen = case.devices
    if chosen is None:
        if not torch.accelerator.is_available():
            raise NotApplicable("no accelerator on this machine")
        found = torch.accelerator.current_accelerator()
        chosen = () if found is None else (found,)
    for device in chosen:
        sample = case.sample.map(partial(_on, device))
        actual = evaluate(case.function, sample)
        for tensor in (*actual.outputs, *actual.gradients):
            require(tensor.device.type == device.type, f"a result is on {tensor.device}, not {device}")
        expected = evaluate(case.reference or case.function, sample)
        try:
            assert_same_evaluation(actual, expected, sample)
        except AssertionError as error:
            own = evaluate(case.function, case.sample)
            here = Evaluation(*([tensor.cpu() for tensor in tensors] for tensors in actual))
            try:
                assert_same_evaluation(here, own, case.sample)
            except AssertionError:
                raise AssertionError(f"on {device}: {error}") from None
    return f"on {', '.join(map(str, chosen))}"
