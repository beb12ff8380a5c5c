"""Samples: sparse tensors among the constants."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from ansnet.testing import CAPABILITIES, Result, Sample, check
from ansnet.testing.capabilities import COMPILED
from ansnet.testing.operations import random

EAGER = sorted(CAPABILITIES.keys() - COMPILED - {"no memory growth"})
ASKED = ["gradcheck", "inputs unchanged", "deterministic", "saved tensors freed", "strided views"]
dense = torch.tensor([[0, 2, 0], [1, 0, 0], [0, 0, 3], [0, 0, 0], [4, 0, 5]], dtype=torch.float64)


def sparse(layout: torch.layout) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CSR is in beta
        return dense.to_sparse(layout=layout)


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor) -> Tensor:
        ctx.save_for_backward(a)
        return a @ x

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        (a,) = ctx.saved_tensors
        return a.mT @ grad_z, None


class WritesToIt(Product):
    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor) -> Tensor:
        z = Product.forward(ctx, x, a)
        (a._values() if a.layout is torch.sparse_coo else a.values()).data.mul_(2)
        return z


LAYOUTS = torch.sparse_coo, torch.sparse_csr, torch.sparse_csc


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sparse_constants(layout: torch.layout) -> None:
    sample = Sample(random(3, 4), sparse(layout))

    def product(x: Tensor, a: Tensor) -> Tensor:
        return a @ x

    def reference(x: Tensor, a: Tensor) -> Tensor:
        return dense.to(x.dtype) @ x

    some = ["accuracy", "non finite values", "vmap", *ASKED]
    report = check(product, reference, [sample], only=some, isolated=False)
    assert not report.failures, str(report)
    assert {report[name].result for name in ASKED} == {Result.PASS}
    if layout is torch.sparse_coo:
        report = check(product, None, [sample], only=EAGER, isolated=False)
        assert not report.failures, str(report)
        assert {report[name].result for name in ASKED} == {Result.PASS}


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_change_of_a_sparse_constant_is_caught(layout: torch.layout) -> None:
    sample = Sample(random(3, 4), sparse(layout))
    (row,) = check(WritesToIt.apply, None, [sample], only=["inputs unchanged"], isolated=False).rows
    assert row.result is Result.FAIL
    assert "the forward changed tensor 1 of the arguments" in row.detail


def test_wrong_gradients_are_caught_beside_them() -> None:
    class Transposed(Product):
        @staticmethod
        def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
            (a,) = ctx.saved_tensors
            return 2 * (a.mT @ grad_z), None

    sample = Sample(random(3, 4), sparse(torch.sparse_coo))
    only = ["gradients", "gradcheck"]
    report = check(Transposed.apply, Product.apply, [sample], only=only, isolated=False)
    assert len(report.failures) == 2
