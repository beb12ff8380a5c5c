"""Surrogate and straight-through gradients, compared with the derivative that is stated for them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.testing import CAPABILITIES, Result, Sample, check
from ansnet.testing.capabilities import COMPILED
from ansnet.testing.operations import random

EAGER = sorted(CAPABILITIES.keys() - COMPILED - {"no memory growth"})
numbers = Sample(random(3, 4))


class Sign(torch.autograd.Function):
    generate_vmap_rule = True
    limit, factor = 1.0, 1.0

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.sign()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @classmethod
    def slope(cls, ctx: Any) -> Tensor:
        (x,) = ctx.saved_tensors
        return (x.abs() <= cls.limit).to(x) * cls.factor

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return grad_z * Sign.slope(ctx)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return tangent * Sign.slope(ctx)


class Spike(torch.autograd.Function):
    """With a surrogate, that of a sigmoid; and without what transformations ask for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        z = (4 * x).sigmoid()
        return grad_z * 4 * z * (1 - z)


def sigmoid_4(x: Tensor) -> Tensor:
    return (4 * x).sigmoid()


@pytest.mark.parametrize("reference", [torch.sign, None])
def test_a_right_surrogate_has_all_capabilities(reference: Any) -> None:
    options: dict[str, Any] = {"derivative": F.hardtanh, "only": EAGER, "isolated": False}
    report = check(Sign.apply, reference, [numbers], **options)
    assert report.passed, str(report)
    assert "the reference cannot either" not in str(report)


@pytest.mark.parametrize("reference", [torch.sign, None])
@pytest.mark.parametrize(("rule", "value"), [("limit", 0.5), ("factor", 1.01)])
def test_a_wrong_one_fails(
    reference: Any, rule: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sign, rule, value)
    only = ["gradients", "gradcheck", "jacobian", "hessian"]
    options: dict[str, Any] = {"derivative": F.hardtanh, "only": only, "isolated": False}
    assert len(check(Sign.apply, reference, [numbers], **options).failures) == 4


def test_without_a_reference_its_errors_are_its_own() -> None:
    def refuses(x: Tensor) -> Tensor:
        if len(x) == 0 or x.dtype != torch.float64:
            raise ValueError("neither nothing nor float32")
        return Spike.apply(x)

    only = ["gradients", "gradcheck", "accuracy", "vmap", "jacobian", "dtypes", "zero size batch"]
    options: dict[str, Any] = {"derivative": sigmoid_4, "only": only, "isolated": False}
    report = check(refuses, None, [numbers], **options)
    failed = {row.capability for row in report.failures}
    assert failed >= {"vmap", "jacobian", "dtypes", "zero size batch"}, str(report)
    report = check(Spike.apply, None, [numbers], **options)
    assert {row.capability for row in report.failures} == {"vmap", "jacobian"}
    assert report["gradients"].result is Result.PASS
