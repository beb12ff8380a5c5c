"""What counts as work that the backward could spare: *needless work*."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample, check
from ansnet.testing.operations import random


class Branching(torch.autograd.Function):
    """x², whose backward looks at its numbers first, to decide what to compute."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        large = x.abs().gt(100).sum() > 0
        return x.double().mul(2 * grad_z).to(grad_z) if large else 2 * x * grad_z


def test_what_a_condition_depends_on_is_needed() -> None:
    report = check(Branching.apply, torch.square, [Sample(random(3))], only=["needless work"])
    assert report.passed, str(report)
