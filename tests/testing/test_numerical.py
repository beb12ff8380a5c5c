"""Where a function and its reference differ in a derivative, the numerical one decides."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.testing import Report, Result, Sample, check
from ansnet.testing.numerical import Entry, derivative
from ansnet.testing.operations import random

numbers = Sample(random(3, 4))


def tried(function: Any, reference: Any, *only: str, **options: Any) -> Report:
    return check(function, reference, [numbers], only=only, isolated=False, **options)


class HardSigmoid(torch.autograd.Function):
    """Right; PyTorch's derivative in float64 is float32's 1/6."""

    factor = 1 / 6

    @classmethod
    def of(cls, x: Tensor) -> Tensor:
        return cls.apply(x)

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x + 3).clamp(0, 6) / 6

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad_z * ((x > -3) & (x < 3)) * HardSigmoid.factor


def test_the_function_is_right_and_the_reference_named() -> None:
    report = tried(HardSigmoid.apply, F.hardsigmoid, "gradients", "dtypes", "non finite values")
    assert report.passed, str(report)
    detail = report["gradients"].detail
    assert "the reference's is less exact than the function's: gradient of argument 0 at" in detail
    assert "the numerical derivative is" in detail


def test_the_reference_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HardSigmoid, "factor", 1 / 6 + 1e-6)
    (row,) = tried(HardSigmoid.apply, F.hardsigmoid, "gradients").rows
    assert row.result is Result.FAIL
    assert "gradient of argument 0 at index" in row.detail
    assert "the numerical derivative is" in row.detail


def in_float32(x: Tensor) -> Tensor:
    return x.float().tanh().to(x.dtype)


def test_a_reference_that_computes_in_float32() -> None:
    report = tried(torch.tanh, in_float32, "gradients", "jacobian", "hessian")
    assert report.passed, str(report)
    assert all("less exact" in row.detail for row in report.rows)


def test_there_is_no_judge_of_the_forward() -> None:
    (row,) = tried(torch.tanh, in_float32, "forward").rows
    assert row.result is Result.FAIL
    x = numbers.tensors[0]
    place = (torch.tanh(x) - in_float32(x)).abs().argmax()
    own, known = (z.detach().reshape(-1)[place] for z in (torch.tanh(x), in_float32(x)))
    assert f"output: {own:.8g} at index" in row.detail
    assert f"expected {known:.8g}" in row.detail


def test_another_function_is_not_acquitted_by_its_own_derivative() -> None:
    report = tried(lambda x: torch.tanh(1.01 * x), torch.tanh, "gradients", "jacobian", "hessian")
    assert len(report.failures) == 3


def test_of_a_stated_derivative_the_numerical_one_decides() -> None:
    def sign(factor: float) -> Any:
        class Sign(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Tensor) -> Tensor:
                ctx.save_for_backward(x)
                return x.sign()

            @staticmethod
            def backward(ctx: Any, grad_z: Tensor) -> Tensor:
                (x,) = ctx.saved_tensors
                return grad_z * ((x > -3) & (x < 3)) * factor

        return Sign.apply

    report = tried(sign(1 / 6), torch.sign, "gradients", "gradcheck", derivative=F.hardsigmoid)
    assert report.passed, str(report)
    report = tried(sign(1 / 5), torch.sign, "gradients", "gradcheck", derivative=F.hardsigmoid)
    assert len(report.failures) == 2


def test_derivatives_are_exact_to_many_digits() -> None:
    x = torch.tensor([0.3, -1.2], dtype=torch.float64)
    first = derivative(Entry(lambda x: x.sin().sum().item(), [(0, 1)]), [x])
    assert first.value == pytest.approx(x[1].cos().item(), rel=1e-12)
    assert first.error < 1e-11
    second = derivative(Entry(lambda x: (x[0] ** 2 * x[1] ** 3).item(), [(0, 0), (0, 1)]), [x])
    assert second.value == pytest.approx(6 * 0.3 * 1.2**2, rel=1e-9)
