"""Faults that *uses its arguments* and *linear in the upstream gradient* are there to catch."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from ansnet.testing import Report, Result, Sample, check
from ansnet.testing.operations import random

USES, LINEAR = "uses its arguments", "linear in the upstream gradient"


class Power(torch.autograd.Function):
    """xⁿ, sound in itself; each fault below replaces one of its rules."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: int) -> Tensor:
        ctx.n = n
        ctx.save_for_backward(x)
        return x**n

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return ctx.n * x ** (ctx.n - 1) * grad_z, None


class ExponentOfTheClass(Power):
    n: ClassVar[int]

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: int) -> Tensor:
        ExponentOfTheClass.n = n
        return Power.forward(ctx, x, n)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        n = ExponentOfTheClass.n
        return n * x ** (n - 1) * grad_z, None


class InputOfTheLastForward(Power):
    last: ClassVar[Tensor]

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: int) -> Tensor:
        InputOfTheLastForward.last = x
        return Power.forward(ctx, x, n)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        return ctx.n * InputOfTheLastForward.last ** (ctx.n - 1) * grad_z, None


class Clipped(Power):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        gradient, _ = Power.backward(ctx, grad_z)
        return gradient.clamp(-1e4, 1e4), None


class Normalised(Power):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        gradient, _ = Power.backward(ctx, grad_z)
        return gradient / gradient.norm(), None


class Penalised(Power):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        gradient, _ = Power.backward(ctx, grad_z)
        return gradient + 1e-3, None


class InSinglePrecision(Power):
    """Its output is in float32, and so is what is multiplied by it, whatever the input is in."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, n: int) -> Tensor:
        return Power.forward(ctx, x, n).float()


numbers = Sample(random(3, 4), 3)


def tried(row: str, function: Any, reference: Any, *samples: Sample) -> Report:
    return check(function, reference, samples, only=[row], isolated=False)


@pytest.mark.parametrize("reference", [torch.pow, None])
@pytest.mark.parametrize("fault", [ExponentOfTheClass, InputOfTheLastForward])
def test_a_backward_of_another_call_is_caught(fault: Any, reference: Any) -> None:
    (row,) = tried(USES, fault.apply, reference, numbers).rows
    assert row.result is Result.FAIL
    assert "between forward and backward" in row.detail


@pytest.mark.parametrize("reference", [torch.pow, None])
def test_a_sound_function_passes(reference: Any) -> None:
    for row in (USES, LINEAR):
        report = tried(row, Power.apply, reference, numbers, Sample(random(2, 2), 2))
        assert report.passed, str(report)


@pytest.mark.parametrize("reference", [lambda x, n: (x**n).float(), None])
def test_what_is_rounded_to_single_precision_is_linear(reference: Any) -> None:
    assert tried(LINEAR, InSinglePrecision.apply, reference, numbers).passed


def test_an_argument_that_an_earlier_call_has_fixed_is_caught() -> None:
    @lru_cache
    def table(length: int, _: type = float) -> list[Tensor]:
        return []

    def scaled(x: Tensor, factor: float) -> Tensor:
        kept = table(len(x))
        if not kept:
            kept.append(torch.full_like(x, factor).detach())
        return x * kept[0]

    def sound(x: Tensor, factor: float) -> Tensor:
        return x * factor

    (row,) = tried(USES, scaled, sound, Sample(random(3, 4), 0.5)).rows
    assert row.result is Result.FAIL
    assert "with argument 1 = 0.375 as if that had not been changed" in row.detail


def test_constants_and_flags_are_altered_too() -> None:
    def ignores(x: Tensor, mask: Tensor, *, negative: bool = False) -> Tensor:
        return x * torch.tensor([1.0, 0.0, 1.0], dtype=x.dtype)

    def sound(x: Tensor, mask: Tensor, *, negative: bool = False) -> Tensor:
        return (-x if negative else x) * mask

    mask = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    (row,) = tried(USES, ignores, sound, Sample(random(2, 3), mask, negative=False)).rows
    assert "with other values of argument 1 as if" in row.detail
    (row,) = tried(
        USES, lambda x, m, negative: x * m, sound, Sample(random(2, 3), mask, negative=False)
    ).rows
    assert "with negative = True as if" in row.detail


class Clamp(torch.autograd.Function):
    """Between −3 and 3, where its gradient is 1; PyTorch's is 1 there too, hardtanh's is 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(-3, 3)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad_z * (x.abs() <= 3)


def test_numbers_are_not_altered_to_those_at_a_kink() -> None:
    x = torch.tensor([-4.0, -2.0, 1.0, 4.0], dtype=torch.float64, requires_grad=True)
    reference = torch.nn.Hardtanh(-3, 3)
    assert tried(USES, Clamp.apply, reference, Sample(x)).passed


def test_an_alteration_that_is_refused_is_left_out() -> None:
    def only_3(x: Tensor, n: int) -> Tensor:
        if n != 3:
            raise ValueError("n is 3")
        return x**n

    assert tried(USES, only_3, torch.pow, numbers).passed


@pytest.mark.parametrize("fault", [Clipped, Normalised, Penalised])
@pytest.mark.parametrize("reference", [torch.pow, None])
def test_a_backward_that_is_not_linear_is_caught(fault: Any, reference: Any) -> None:
    (row,) = tried(LINEAR, fault.apply, reference, numbers).rows
    assert row.result is Result.FAIL, row.detail
    assert "sample 0" in row.detail


def test_where_the_reference_is_not_linear_either_it_is_not_asked() -> None:
    (row,) = tried(LINEAR, Clipped.apply, Clipped.apply, numbers).rows
    assert row.result is Result.NOT_APPLICABLE
    assert "the reference is not linear either: gradient for 1e+06·g" in row.detail


def test_nan_for_a_gradient_of_zero_is_caught() -> None:
    class Cosine(Power):
        @staticmethod
        def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
            gradient, _ = Power.backward(ctx, grad_z)
            return gradient * (grad_z / grad_z), None

    (row,) = tried(LINEAR, Cosine.apply, None, numbers).rows
    assert "gradient of argument 0 is not finite, where the output's gradient is 0" in row.detail
