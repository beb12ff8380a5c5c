"""Rows in which a function is not to blame for what no function could do."""

from __future__ import annotations

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
