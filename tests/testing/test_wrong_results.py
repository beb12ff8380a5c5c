"""Functions that are wrong in what is easily overlooked: each fails the row that is to see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ansnet.testing import Result, Sample, check
from tests.testing.test_planted_faults import Cube

Function = Callable[..., Any]


def numbers(*shape: int, requires_grad: bool = True) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_(requires_grad)


@dataclass
class Found:
    value: Tensor
    count: int


class Pair(NamedTuple):
    value: Tensor
    other: Tensor


class HalfCurved(Cube):
    """Its second derivative is half of what is right."""

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad_z * 3 * (x * x.detach())


class OnceCube(Cube):
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad_z * 3 * x * x


class Quintupled(torch.autograd.Function):
    """Its rule for `vmap` returns five times what is right."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x * float(x.sum())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return grad_z

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], x: Tensor) -> tuple[Tensor, int]:
        x = x.movedim(in_dims[0], 0)  # type: ignore[arg-type]
        return 5 * torch.stack([each * float(each.sum()) for each in x]), 0


class Forgetful(torch.autograd.Function):
    """Its rule for `vmap` takes the batch to be in front where only the first factor has one."""

    @staticmethod
    def forward(x: Tensor, y: Tensor) -> Tensor:
        return x * y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, Tensor]:
        x, y = ctx.saved_tensors
        return grad_z * y, grad_z * x

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], x: Tensor, y: Tensor) -> tuple[Tensor, int]:
        if in_dims[1] is None:
            return x * y, 0
        x, y = (
            t.expand(info.batch_size, *t.shape) if dim is None else t.movedim(dim, 0)
            for t, dim in zip((x, y), in_dims, strict=True)
        )
        return x * y, 0


class SumOfFour(torch.autograd.Function):
    """Its gradients are twice what is right where exactly two of them are asked for."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        return sum(inputs, start=torch.zeros(()))

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, ...]:
        factor = 2 if sum(ctx.needs_input_grad) == 2 else 1
        return (factor * grad_z,) * 4


class Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return -grad_z


def destroying(x: Tensor) -> Tensor:
    y = x * 2
    x.zero_()
    return y


def wrong_far_away(x: Tensor) -> Tensor:
    return torch.where(x.abs() > 500, 1.01 * x, x).sin() + x


def dropout(x: Tensor) -> Tensor:
    return F.dropout(x, 0.5)


def dropout_of_contiguous_ones(x: Tensor) -> Tensor:
    return dropout(x) if x.is_contiguous() else 5 * dropout(x)


KEPT: list[Any] = []


def keeping_numbers(x: Tensor) -> Tensor:
    KEPT.append(float(len(KEPT)))
    return x * 2


WRONG: dict[str, tuple[str, Function, Function | None, Sample]] = {
    "a number beside": ("forward", lambda x: (x * 2, 5), lambda x: (x * 2, 6), Sample(numbers(2, 3))),
    "a text beside": (
        "forward",
        lambda x: {"y": x * 2, "mode": "a"},
        lambda x: {"y": x * 2, "mode": "b"},
        Sample(numbers(2)),
    ),
    "keys exchanged": (
        "forward",
        lambda x: {"a": x * 2, "b": x * 3},
        lambda x: {"b": x * 2, "a": x * 3},
        Sample(numbers(2)),
    ),
    "a key missing": (
        "forward",
        lambda x: {"a": x * 2},
        lambda x: {"b": x * 2},
        Sample(numbers(2)),
    ),
    "a field of a dataclass": (
        "forward",
        lambda x: Found(x * 2, 3),
        lambda x: Found(x * 3, 3),
        Sample(numbers(2)),
    ),
    "a number in a dataclass": (
        "forward",
        lambda x: Found(x * 2, 3),
        lambda x: Found(x * 2, 4),
        Sample(numbers(2)),
    ),
    "deeper": (
        "forward",
        lambda x: (x, [x * 2, (x * 3,)]),
        lambda x: (x, [x * 2], x * 3),
        Sample(numbers(2)),
    ),
    "a second derivative that the reference has not": (
        "gradgradcheck",
        HalfCurved.apply,
        OnceCube.apply,
        Sample(numbers(3)),
    ),
    "a rule for vmap, where the reference has none": (
        "vmap",
        Quintupled.apply,
        lambda x: x * float(x.detach().sum()),
        Sample(numbers(3)),
    ),
    "in other memory": (
        "strided views",
        dropout_of_contiguous_ones,
        dropout,
        Sample(numbers(4, 5)),
    ),
    "an input destroyed": ("inputs unchanged", destroying, lambda x: x * 2, Sample(numbers(2, 3))),
    "large numbers": (
        "finite far away",
        wrong_far_away,
        lambda x: x.sin() + x,
        Sample(numbers(2, 3)),
    ),
    "the first factor alone batched": (
        "vmap",
        Forgetful.apply,
        torch.mul,
        Sample(numbers(3), numbers(3)),
    ),
    "two gradients of four": (
        "subsets of gradients",
        SumOfFour.apply,
        lambda *inputs: sum(inputs),
        Sample(*(numbers(3) for _ in range(4))),
    ),
    "numbers kept": ("no memory growth", keeping_numbers, None, Sample(numbers(3))),
    "a gradient that is not reversed": (
        "gradients",
        torch.clone,
        Reversal.apply,
        Sample(numbers(3)),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_is_seen(name: str) -> None:
    capability, function, reference, sample = WRONG[name]
    (row,) = check(function, reference, [sample], only=[capability], isolated=False).rows
    assert row.result is Result.FAIL, row
    assert isinstance(row.error, AssertionError | RuntimeError)


@pytest.mark.parametrize(
    ("function", "reference"),
    [
        (lambda x: {"a": x * 2, "b": x * 3}, lambda x: {"b": x * 3, "a": x * 2}),
        (lambda x: [x * 2, x * 3], lambda x: (x * 2, x * 3)),
        (lambda x: Pair(x * 2, x * 3), lambda x: (x * 2, x * 3)),
        (lambda x: (x * 2, nan), lambda x: (x * 2, float("nan"))),
        (lambda x: (x * 2, 0.1 + 0.2), lambda x: (x * 2, 0.3)),
        (lambda x: Found(x * 2, 3), lambda x: Found(x + x, 3)),
        (lambda x: (x * 2, object()), lambda x: (x * 2, object())),
    ],
)
def test_results_that_are_the_same_to_a_caller_are(function: Function, reference: Function) -> None:
    only = ["forward", "gradients", "jacobian", "vmap"]
    report = check(function, reference, [Sample(numbers(2, 3))], only=only, isolated=False)
    assert report.passed, str(report)


class Switching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, dtype=torch.float64))
        self.part = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        self.part.eval()
        return x * self.scale


def test_a_module_that_switches_a_part_of_itself_is_told() -> None:
    (row,) = check(
        Switching(), None, [Sample(numbers(2, 3))], only=["inputs unchanged"], isolated=False
    ).rows
    assert row.result is Result.FAIL
    assert "module.part.training was True, and is False afterwards" in row.detail


def test_where_the_caller_records_nothing_gradients_are_recorded() -> None:
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            report = check(torch.mul, torch.mul, [Sample(numbers(3), numbers(3))], only=["gradients"])
        assert report.passed, str(report)


def test_a_derivative_of_other_shapes_is_a_mistake() -> None:
    sample = [Sample(numbers(3))]
    for derivative in (lambda x: 3, lambda x: x.sum(), lambda x: (x, x)):
        with pytest.raises(ValueError, match=r"derivative= returned .*, and the reference float64"):
            check(torch.sign, torch.sign, sample, derivative=derivative, isolated=False)


def test_an_assertion_of_the_function_is_an_error_like_the_references() -> None:
    def asserting(x: Tensor) -> Tensor:
        assert len(x) > 0
        return x * 2

    def raising(x: Tensor) -> Tensor:
        return x * 2 if len(x) else x.reshape(0, -1)

    only = ["second derivative of empty batches"]
    (row,) = check(asserting, raising, [Sample(numbers(2, 3))], only=only, isolated=False).rows
    assert row.result is Result.NOT_APPLICABLE
    assert "the reference cannot either" in row.detail
