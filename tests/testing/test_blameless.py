"""Rows in which a function is not to blame for what no function could do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

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


def numbers(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


def sign_beside(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.detach().sign(), x * x


def scaled_in_place(x: Tensor, a: Tensor) -> Tensor:
    return x.mul_(a)


def embedded(weight: Tensor) -> Tensor:
    return F.embedding(torch.tensor([0, 1, 2]), weight, padding_idx=1)


def normalised(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True)


EMPTY = "zero size batch", "second derivative of empty batches"


@pytest.mark.parametrize(
    ("capabilities", "function", "has_reference", "inputs"),
    [
        (["without gradients"], nn.Identity(), False, [numbers(2, 3)]),
        (["without gradients"], lambda x: x.contiguous(), False, [numbers(2, 3)]),
        (["checkpoint"], sign_beside, False, [numbers(2, 3)]),
        (["gradient through vmap"], scaled_in_place, False, [numbers(3), numbers(3)]),
        (["forward mode"], embedded, True, [numbers(3, 2)]),
        (["hessian"], normalised, True, [numbers(4, 2)]),
        (EMPTY, torch.linalg.det, False, [numbers(3, 3)]),
        (EMPTY, lambda x: torch.linalg.slogdet(x).logabsdet, False, [numbers(3, 3)]),
        (EMPTY, torch.max, False, [numbers(3, 2)]),
        (EMPTY, lambda x: x.amax(0), False, [numbers(3, 2)]),
        (EMPTY, lambda x: x.median(0).values, False, [numbers(3, 2)]),
        (EMPTY, lambda x: nn.functional.normalize(x) @ x.mT, False, [numbers(3, 2)]),
        (["linear in the upstream gradient"], torch.matrix_exp, False, [numbers(3, 3)]),
        (["inputs unchanged"], nn.BatchNorm1d(3, dtype=torch.float64), False, [numbers(4, 3)]),
        (
            ["pickle and copy"],
            parametrizations.weight_norm(nn.Linear(3, 2, dtype=torch.float64)),
            False,
            [numbers(4, 3)],
        ),
    ],
)
def test_a_right_function_is_not_accused(
    capabilities: Sequence[str], function: Any, has_reference: bool, inputs: list[Tensor]
) -> None:
    reference = function if has_reference else None
    report = check(function, reference, [Sample(*inputs)], only=capabilities, isolated=False)
    assert not report.failures, str(report)


def test_an_lstm_without_reference_is_not_accused_of_refusing_an_empty_sequence() -> None:
    lstm = nn.LSTM(3, 2, dtype=torch.float64)
    report = check(lstm, None, [Sample(numbers(4, 2, 3))], only=EMPTY, isolated=False)
    assert not report.failures, str(report)


def test_an_error_at_an_empty_batch_that_is_not_meant_is_one() -> None:
    for function in (lambda x: x * (6 // len(x)), lambda x: x.reshape(len(x), -1) * 2):
        report = check(function, None, [Sample(numbers(3, 2))], only=EMPTY, isolated=False)
        assert len(report.failures) == len(EMPTY), str(report)
