"""What a row says of an error: what is wrong, and where."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.testing import Result, Row, Sample, check
from ansnet.testing.operations import random

numbers = Sample(random(3, 4))


def row_of(name: str, function: Any, reference: Any = None, sample: Sample = numbers) -> Row:
    (row,) = check(function, reference, [sample], only=[name], isolated=False, backend="eager").rows
    return row


def asserts(x: Tensor) -> Tensor:
    raise AssertionError  # as ``assert`` does; pytest would give it a message


def test_a_bare_assert_is_named_by_its_line() -> None:
    row = row_of("gradcheck", asserts)
    line = asserts.__code__.co_firstlineno + 1
    assert f"no message, from {__file__}:{line}: raise AssertionError" in row.detail


def branches(x: Tensor) -> Tensor:
    return x.sin() if x.sum() > 0 else x.cos()


def deep(x: Tensor) -> Tensor:
    return branches(x * 2)


@pytest.mark.parametrize("row", ["compile", "compile dynamic shapes"])
def test_the_compiler_says_what_it_does_not_support_and_where(row: str) -> None:
    detail = row_of(row, deep).detail
    assert "ata-dependent" in detail
    line = branches.__code__.co_firstlineno + 1
    assert f"(at {__file__}:{line}: return x.sin() if x.sum() > 0 else x.cos())" in detail


class Cosh(torch.autograd.Function):
    """Infinite, and then NaN, where the result is finite."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sigmoid()

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad_z * torch.exp(-x) / (1 + torch.exp(-x)) ** 2


def test_accuracy_says_that_a_number_is_nan_where_the_references_is_not() -> None:
    row = row_of("accuracy", Cosh.apply, torch.sigmoid)
    assert row.result is Result.FAIL
    assert "gradient 0 is nan at index" in row.detail
    assert "the reference's" in row.detail
    assert "wrong by nan" not in row.detail


def test_nan_on_both_sides_is_no_failure() -> None:
    def root(x: Tensor) -> Tensor:
        return x.sqrt()

    for name in ("accuracy", "dtypes", "autocast bfloat16", "finite far away"):
        row = row_of(name, root, torch.sqrt)
        assert row.result is Result.PASS, row.detail


class DoesNothingToNothing(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return grad_z * 2


def constant_if_empty(x: Tensor) -> Tensor:
    return x * 2 if len(x) else torch.zeros(x.shape, dtype=x.dtype)


def test_our_own_assertion_is_not_taken_for_the_references_error() -> None:
    row = row_of("zero size batch", DoesNothingToNothing.apply, constant_if_empty)
    assert row.result is Result.PASS, row.detail

    def other_shape(x: Tensor) -> Tensor:
        return x * 2 if len(x) else x.sum(0, keepdim=True)

    row = row_of("zero size batch", other_shape, constant_if_empty)
    assert row.result is Result.FAIL
    assert "no output requires grad" not in row.detail


def test_the_references_error_is_told() -> None:
    def refuses(x: Tensor) -> Tensor:
        if len(x) == 0:
            raise ValueError("nothing given")
        return x * 2

    row = row_of("zero size batch", DoesNothingToNothing.apply, refuses)
    assert "nothing raised, the reference raises ValueError: nothing given" in row.detail
    assert row_of("zero size batch", refuses, refuses).result is Result.PASS


def test_the_two_numbers_that_differ_most_are_told() -> None:
    row = row_of("forward", lambda x: F.silu(x) + 1, F.silu)
    assert "output: " in row.detail
    assert "at index (" in row.detail
    assert "expected " in row.detail


def test_a_message_of_the_compiler_is_not_cut_at_a_colon() -> None:
    def backend(graph: Any, inputs: Any) -> Any:
        raise NotImplementedError("this backend compiles nothing")

    (row,) = check(torch.sin, None, ["f64[2]"], only=["compile"], backend=backend).rows
    assert row.result is Result.FAIL
    assert "this backend compiles nothing" in row.detail
