"""Capabilities: lower precision, and another device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing.case import (
    Case,
    Function,
    NotApplicable,
    Sample,
    assert_same_evaluation,
    call,
    evaluate,
    require,
)
from ansnet.testing.derivatives import assert_gradient_dtypes


def autocast_bfloat16(case: Case) -> None:
    """Under autocast to bfloat16 the dtypes are the reference's, and the errors at most twice its."""
    _assert_autocast(case, torch.bfloat16)


def autocast_float16(case: Case) -> None:
    """Likewise to float16."""
    _assert_autocast(case, torch.float16)


def _assert_autocast(case: Case, dtype: torch.dtype) -> None:
    if any(tensor.is_complex() for tensor in case.sample.tensors):
        raise NotApplicable("autocast leaves complex numbers alone")
    single = case.sample.to(torch.float32)
    for sample in (single, _activations_in(dtype, single)):
        exact = evaluate(case.function, sample.to(torch.float64))
        actual = evaluate(_under_autocast(case.function, dtype), sample)
        expected = evaluate(_under_autocast(case.reference or case.function, dtype), sample)
        _assert_rounded("output", actual.outputs, expected.outputs, exact.outputs, dtype)
        _assert_rounded("gradient", actual.gradients, expected.gradients, exact.gradients, dtype)
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
) -> None:
    """The dtypes are those of the reference, and the error at most twice its, and two roundings."""
    for one, other, truth in zip(actual, expected, exact, strict=True):
        require(one.dtype == other.dtype, f"{what} is {one.dtype}, expected {other.dtype}")
        if truth.numel() == 0 or not truth.is_floating_point():
            continue
        error, allowed = ((tensor - truth).abs().max().item() for tensor in (one, other))
        bound = 2 * allowed + 2 * torch.finfo(dtype).eps * truth.abs().max().item()
        require(error <= bound, f"{what} is wrong by {error:.3g}, bound {bound:.3g}")


def cuda(case: Case) -> None:
    """On a CUDA device outputs and gradients equal the reference's there."""
    if not torch.cuda.is_available():
        raise NotApplicable("no CUDA device on this machine")
    sample = case.sample.map(lambda tensor: tensor.to("cuda"))
    expected = evaluate(case.reference or case.function, sample)
    assert_same_evaluation(evaluate(case.function, sample), expected, sample)
