"""Finite differences, batched gradients, and what a failing gradcheck says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ansnet.testing import Report, Result, Sample, check
from ansnet.testing.operations import random

numbers = Sample(random(3, 2))


def tried(function: Any, *only: str, reference: Any = None, **options: Any) -> Report:
    return check(function, reference, [numbers], only=only, isolated=False, **options)


class Cube(torch.autograd.Function):
    """With two Nones more than the forward has arguments, as PyTorch allows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_z, None, None


class NoBatches(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        if grad_z.detach().abs().sum().item() == 0:
            return torch.zeros_like(x), None, None
        return 3 * x**2 * grad_z, None, None


class SecondDetached(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return 3 * x.detach() ** 2 * grad_z, None, None


class Slope(torch.autograd.Function):
    factor: float

    @staticmethod
    def forward(ctx: Any, x: Tensor, grad_z: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        ctx.save_for_backward(x, grad_z)
        return 3 * x**2 * grad_z

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, grad_z = ctx.saved_tensors
        return ctx.factor * x * grad_z * grad, 3 * x**2 * grad, None


def with_second_derivative(factor: float) -> Any:
    class SecondBy(Cube):
        @staticmethod
        def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None, None]:
            (x,) = ctx.saved_tensors
            return Slope.apply(x, grad_z, factor), None, None

    return SecondBy.apply


def test_gradients_that_cannot_be_batched_are_a_row_of_their_own() -> None:
    report = tried(NoBatches.apply, "gradcheck", "gradgradcheck", "batched gradients")
    assert [row.capability for row in report.failures] == ["batched gradients"]
    assert "batch" in report["batched gradients"].detail.lower()
    assert tried(Cube.apply, "batched gradients").passed


def test_more_nones_than_arguments_are_no_matter() -> None:
    rows = ["gradient dtypes", "autocast bfloat16", "autocast float16"]
    report = tried(Cube.apply, *rows, reference=lambda x: x**3)
    assert "zip" not in str(report)
    assert report["gradient dtypes"].result is Result.PASS


def test_a_wrong_dtype_is_still_seen_beside_them() -> None:
    class InSingle(Cube):
        @staticmethod
        def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None, None]:
            (x,) = ctx.saved_tensors
            return (3 * x**2 * grad_z).float(), None, None

    (row,) = tried(InSingle.apply, "gradient dtypes").rows
    assert row.result is Result.FAIL


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (SecondDetached.apply, "0 everywhere"),
        (with_second_derivative(float("nan")), "NaN in 6 of 6 places"),
        (with_second_derivative(5), "wrong"),
    ],
)
def test_a_second_derivative_is_said_to_be_what_it_is(function: Any, kind: str) -> None:
    (row,) = tried(function, "gradgradcheck").rows
    assert row.result is Result.FAIL
    assert f"the derivative is {kind}" in row.detail
    assert "the numerical one" in row.detail
    assert tried(with_second_derivative(6), "gradgradcheck").passed


def test_in_float32_where_that_is_the_only_dtype() -> None:
    rows = "gradcheck", "gradgradcheck", "batched gradients"
    report = tried(Cube.apply, *rows, dtypes=[torch.float32])
    assert report.passed, str(report)
    assert all("in float32, where numbers may differ" in row.detail for row in report.rows)
    report = tried(SecondDetached.apply, *rows, dtypes=[torch.float32])
    assert [row.capability for row in report.failures] == ["gradgradcheck"]
    (row,) = tried(Cube.apply, "gradcheck", dtypes=[torch.bfloat16]).rows
    assert "neither in float64 nor in float32" in row.detail


@pytest.mark.parametrize(
    "row", ["gradcheck", "gradgradcheck", "batched gradients", "forward mode", "jacobian"]
)
def test_what_cannot_be_differentiated_passes_no_row_of_derivatives(row: str) -> None:
    (failed,) = tried(lambda x: (x > 0) * 2 - 1, row).rows
    assert failed.result is Result.FAIL
    assert "no output requires grad, although an input does" in failed.detail
