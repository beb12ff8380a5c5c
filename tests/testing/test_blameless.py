"""Rows in which a function is not to blame for what no function could do."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Result, Sample, check


def cholesky(a: Tensor) -> Tensor:
    return torch.linalg.cholesky(a + a.mT)


def test_a_layout_is_not_to_blame_for_numbers_that_are_refused() -> None:
    positive = (torch.eye(3, dtype=torch.float64) * 3 + 1).requires_grad_()
    sample = Sample(positive)
    (row,) = check(cholesky, None, [sample], only=["negative views"]).rows
    assert row.result is Result.PASS, row.detail
    (row,) = check(cholesky, None, [Sample(positive)], only=["expanded views"]).rows
    assert row.result is Result.NOT_APPLICABLE, row.detail
    assert "contiguous tensors of these numbers fail too" in row.detail


class Magnitude(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        z = torch.sqrt(x**2 + y**2)
        ctx.save_for_backward(x, y, z)
        return z

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, Tensor]:
        x, y, z = ctx.saved_tensors
        return grad_z * x / z, grad_z * y / z


def test_the_compiler_that_refuses_a_tensor_in_two_places_runs_it_without_compiling() -> None:
    x, y = (torch.randn(2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    only = ["one tensor in two places"]
    report = check(Magnitude.apply, torch.hypot, [Sample(x, y)], only=only, backend="eager")
    assert report.passed, str(report)
