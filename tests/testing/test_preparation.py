"""What is found out of a function first: what it changes in place, captures and draws."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ansnet.testing import CAPABILITIES, Report, Result, Sample, check
from ansnet.testing.capabilities import COMPILED
from ansnet.testing.operations import random

EAGER = sorted(CAPABILITIES.keys() - COMPILED - {"no memory growth"})
numbers = Sample(random(3, 4))
two = Sample(random(3, 4), random(4, 3).mT.detach())


def tried(function: Any, reference: Any, *samples: Sample, **options: Any) -> Report:
    options = {"only": EAGER, "isolated": False, "backend": "eager", **options}
    return check(function, reference, samples, **options)


class Times(torch.autograd.Function):
    """x · y in the memory of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(y)
        ctx.mark_dirty(x)
        return x.mul_(y)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return grad_z * y, None


class Times7(Times):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        return 7 * grad_z, None


def in_place(x: Tensor, y: Tensor) -> Tensor:
    return x.mul_(y)


def out_of_place(x: Tensor, y: Tensor) -> Tensor:
    return x * y


@pytest.mark.parametrize("reference", [in_place, out_of_place, None])
def test_a_function_that_changes_its_input_is_tried(reference: Any) -> None:
    rows = ["gradcheck", "backward twice", "inputs unchanged", "checkpoint", "saved tensor hooks"]
    rows += ["forward", "gradients"] if reference else []
    report = tried(Times.apply, reference, two, only=rows)
    assert {row.result for row in report.rows} == {Result.PASS}, str(report)
    assert "changes in place, and says so: argument 0" in report["inputs unchanged"].detail


@pytest.mark.parametrize("reference", [in_place, out_of_place, None])
def test_its_wrong_backward_is_caught(reference: Any) -> None:
    report = tried(Times7.apply, reference, two, only=["gradients", "gradcheck"])
    assert report["gradcheck"].result is Result.FAIL
    assert (report["gradients"].result is Result.FAIL) == (reference is not None)
    assert not report.passed


@pytest.mark.parametrize("reference", [in_place, out_of_place])
def test_an_operation_in_place_has_all_capabilities(reference: Any) -> None:
    report = tried(in_place, reference, two)
    assert report.passed, str(report)
    assert "over all tensors only" in report["vmap"].detail


def test_a_function_that_returns_what_it_changes_by_its_argument_alone() -> None:
    def nothing(x: Tensor, y: Tensor) -> None:
        x.mul_(y)

    def nothing_wrong(x: Tensor, y: Tensor) -> None:
        x.mul_(2 * y)

    rows = ["forward", "gradients", "gradcheck"]
    assert tried(nothing, nothing, two, only=rows).passed
    assert len(tried(nothing_wrong, nothing, two, only=rows).failures) == 2


def test_a_change_that_is_not_declared_is_no_change_in_place() -> None:
    class Undeclared(Times):
        @staticmethod
        def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
            ctx.save_for_backward(y)
            return x.mul_(y).clone()

    (row,) = tried(Undeclared.apply, out_of_place, two, only=["inputs unchanged"]).rows
    assert row.result is Result.FAIL


def test_captured_tensors_are_no_leak() -> None:
    linear = nn.Linear(4, 3).double()
    report = tried(lambda x: linear(x), None, numbers)
    assert not report.failures, str(report)
    for row in ("saved tensors freed", "saved tensor hooks", "fake tensors", "meta", "dtypes"):
        assert report[row].result is Result.PASS
    assert report["autocast bfloat16"].detail == "it does not work in float32, only in float64"
    assert all(parameter.grad is None for parameter in linear.parameters())


def test_a_cache_of_constants_and_an_attribute_are_no_leak() -> None:
    @lru_cache
    def table(length: int) -> Tensor:
        return torch.arange(1, length + 1, dtype=torch.float64)

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.arange(4, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.table.to(x)

    rows = ["saved tensors freed", "saved tensor hooks", "fake tensors", "meta"]
    for function in (lambda x: x * table(4), Scaled()):
        report = tried(function, None, numbers, only=rows)
        assert {row.result for row in report.rows} == {Result.PASS}, str(report)


def test_a_true_leak_is_caught_beside_what_is_captured() -> None:
    linear, kept = nn.Linear(4, 3).double(), []

    def leaks(x: Tensor) -> Tensor:
        z = linear(x).exp()
        kept.append(z)
        return z

    class OnCtx(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.weight, ctx.z = linear.weight.detach(), x @ linear.weight.detach().T
            return ctx.z

        @staticmethod
        def backward(ctx: Any, grad_z: Tensor) -> Tensor:
            return grad_z @ ctx.weight

    for fault in (leaks, OnCtx.apply):
        (row,) = tried(fault, None, numbers, only=["saved tensors freed"]).rows
        assert row.result is Result.FAIL
    (row,) = tried(OnCtx.apply, None, numbers, only=["saved tensors freed"]).rows
    assert "a reference cycle" in row.detail


def test_constants_made_at_each_call_are_found_on_another_device() -> None:
    def made(x: Tensor) -> Tensor:
        return x * torch.ones(4, dtype=x.dtype)  # and the device?

    (row,) = tried(made, None, numbers, only=["meta"]).rows
    assert row.result is Result.FAIL


class Dropout(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        mask = 2.0 * (torch.rand_like(x) > 0.5)
        return x * mask, mask

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])
        ctx.save_for_forward(output[1])

    generate_vmap_rule = True

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor, _: Tensor) -> Tensor:
        (mask,) = ctx.saved_tensors
        return grad_z * mask

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return tangent * mask, None


def dropout(x: Tensor) -> Tensor:
    return x * (2.0 * (torch.rand_like(x) > 0.5))


class AnotherMask(Dropout):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor, _: Tensor) -> Tensor:
        return grad_z * 2.0 * (torch.rand_like(grad_z) > 0.5)


def test_random_functions_have_all_capabilities_but_one() -> None:
    state = torch.get_rng_state()
    report = tried(F.dropout, None, numbers)
    assert [row.capability for row in report.failures] == ["deterministic"], str(report)
    assert "with the same seed they do not" in report["deterministic"].detail
    report = tried(lambda x: Dropout.apply(x)[0], dropout, numbers, only=["forward", "gradients"])
    assert report.passed, str(report)
    (row,) = tried(F.dropout, F.dropout, numbers, only=["deterministic"]).rows
    assert row.result is Result.NOT_APPLICABLE
    assert torch.equal(torch.get_rng_state(), state)


def test_a_mask_drawn_anew_in_the_backward_is_caught() -> None:
    rows = ["gradients", "gradcheck"]
    report = tried(lambda x: AnotherMask.apply(x)[0], dropout, numbers, only=rows)
    assert len(report.failures) == 2


def test_compiled_code_draws_the_same_numbers() -> None:
    rows = ["compile", "export", "compiled transformations", "one tensor in two places"]
    report = tried(F.dropout, None, numbers, only=rows, backend="aot_eager")
    assert not report.failures, str(report)
    assert report["compile"].result is Result.PASS
    assert "it draws random numbers" in report["compiled transformations"].detail


def test_the_seed_is_what_is_given() -> None:
    drawn = []

    def noise(x: Tensor) -> Tensor:
        z = x + torch.rand_like(x)
        drawn.append((z - x).detach())
        return z

    tried(noise, None, numbers, only=["gradient dtypes"], seed=3)
    torch.manual_seed(3)
    assert torch.allclose(drawn[0], torch.rand(3, 4, dtype=torch.float64))
