"""Overflow on the way to a result that is finite: only *finite far away* can tell."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ansnet.testing import Report, Result, Sample, check
from ansnet.testing.operations import random

numbers = Sample(random(3, 4))


class Sigmoid(torch.autograd.Function):
    """Right near 0; far below it, e⁻ˣ is infinite."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sigmoid()

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad_z * torch.exp(-x) / (1 + torch.exp(-x)) ** 2


def tried(function: Any, reference: Any, sample: Sample = numbers, **options: Any) -> Report:
    return check(function, reference, [sample], only=["finite far away"], isolated=False, **options)


@pytest.mark.parametrize("reference", [torch.sigmoid, None])
def test_a_gradient_that_overflows_is_caught(reference: Any) -> None:
    (row,) = tried(Sigmoid.apply, reference).rows
    assert row.result is Result.FAIL
    assert "argument 0 − 1000, in float64: gradient 0 is nan at (0, 0)" in row.detail


def test_in_float32_it_is_nearer_to_0() -> None:
    (row,) = tried(Sigmoid.apply, torch.sigmoid, dtypes=[torch.float32]).rows
    assert "argument 0 − 88, in float32: gradient 0 is nan" in row.detail


def softplus(x: Tensor) -> Tensor:
    return (1 + x.exp()).log()


def softmax(x: Tensor) -> Tensor:
    return x.exp() / x.exp().sum(-1, keepdim=True)


@pytest.mark.parametrize(
    ("fault", "reference"),
    [(softplus, torch.nn.functional.softplus), (softmax, lambda x: x.softmax(-1))],
)
def test_an_output_that_overflows_is_caught_by_the_reference(fault: Any, reference: Any) -> None:
    (row,) = tried(fault, reference).rows
    assert row.result is Result.FAIL
    assert "output 0 is" in row.detail
    assert tried(reference, reference).passed


@pytest.mark.parametrize("function", [torch.exp, torch.square, torch.tanh, torch.log, torch.acos])
def test_what_is_truly_infinite_or_undefined_passes(function: Any) -> None:
    """e¹⁰⁰⁰ is ∞ by right, and there is no logarithm of −1000."""
    assert tried(function, None).passed
    assert tried(function, function).passed


def test_where_numbers_are_refused_nothing_is_asked() -> None:
    def of_probabilities(x: Tensor) -> Tensor:
        if not ((x >= 0) & (x <= 1)).all():
            raise ValueError("probabilities lie between 0 and 1")
        return x.square()

    sample = Sample(torch.full((2,), 0.25, dtype=torch.float64, requires_grad=True))
    (row,) = tried(of_probabilities, None, sample).rows
    assert row.result is Result.NOT_APPLICABLE
    assert row.detail == "large numbers are refused"
