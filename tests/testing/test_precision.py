"""The rows *dtypes* and *devices*, and their options."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ansnet.testing import CAPABILITIES, Report, Result, Sample, check
from ansnet.testing.capabilities import COMPILED
from ansnet.testing.operations import random

EAGER = sorted(CAPABILITIES.keys() - COMPILED - {"no memory growth"})
numbers = Sample(random(3, 4))


def tried(function: Any, reference: Any, *only: str, **options: Any) -> Report:
    return check(function, reference, [numbers], only=only, isolated=False, **options)


def returns_float64(x: Tensor) -> Tensor:
    return x.double().square()


def garbage_in_float32(x: Tensor) -> Tensor:
    return x.square() if x.dtype == torch.float64 else x.square() * 1.01


class GradientInFloat32(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * grad_z * x * (1 if x.dtype == torch.float64 else 0.99)


@pytest.mark.parametrize("reference", [torch.square, None])
@pytest.mark.parametrize("fault", [garbage_in_float32, GradientInFloat32.apply])
def test_what_is_wrong_in_one_dtype_is_caught(fault: Any, reference: Any) -> None:
    (row,) = tried(fault, reference, "dtypes").rows
    assert row.result is Result.FAIL
    assert "in float32 is wrong by" in row.detail
    assert tried(fault, reference, "dtypes", dtypes=[torch.float64]).passed


def test_another_dtype_than_the_references_is_caught() -> None:
    (row,) = tried(returns_float64, torch.square, "dtypes").rows
    assert "output in float32 is torch.float64, expected torch.float32" in row.detail


def test_a_dtype_in_which_it_does_not_work_is_caught_if_it_is_named() -> None:
    def in_float64(x: Tensor) -> Tensor:
        if x.dtype != torch.float64:
            raise TypeError("float64 only")
        return x.square()

    assert tried(in_float64, torch.square, "dtypes", dtypes=[torch.float64]).passed
    (row,) = tried(in_float64, torch.square, "dtypes").rows
    assert "TypeError: float64 only" in row.detail
    (row,) = tried(in_float64, in_float64, "dtypes").rows
    assert "the reference does not work in torch.float32" in row.detail


def test_a_function_of_float32_alone_has_all_other_capabilities() -> None:
    def in_float32(x: Tensor) -> Tensor:
        if x.dtype == torch.float64:
            raise TypeError("no float64")
        return x.tanh()

    report = tried(in_float32, torch.tanh, *EAGER, dtypes=[torch.float32])
    assert report.passed, str(report)
    assert "in float32" in report["hessian"].detail
    rows = "forward", "gradients", "jacobian", "hessian", "dtypes"
    report = tried(lambda x: in_float32(x) * 1.02, torch.tanh, *rows, dtypes=[torch.float32])
    assert len(report.failures) == len(rows)


def test_low_precision_alone() -> None:
    report = tried(torch.tanh, torch.tanh, "forward", "gradients", "dtypes", dtypes=[torch.bfloat16])
    assert report.passed, str(report)
    (row,) = tried(torch.tanh, torch.tanh, "hessian", dtypes=[torch.bfloat16]).rows
    assert row.result is Result.NOT_APPLICABLE


def test_a_captured_weight_of_float32_is_tried_in_float32() -> None:
    linear = nn.Linear(4, 3)
    report = tried(lambda x: linear(x), None, "gradcheck", "dtypes", "hessian")
    assert report.passed, str(report)
    assert "in float32" in report["gradcheck"].detail


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dtypes": []}, ValueError, "dtypes is empty"),
        ({"dtypes": [32]}, TypeError, "dtypes takes torch.float64 and the like, got 32"),
        ({"dtypes": [torch.int64]}, ValueError, "dtypes of floating point, got torch.int64"),
        ({"devices": ["nowhere"]}, ValueError, "devices='nowhere' is not on this machine"),
    ],
)
def test_wrong_options_are_named(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        tried(torch.tanh, None, "gradcheck", **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device")
def test_a_device_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="devices='cuda' is not on this machine"):
        tried(torch.tanh, None, "devices", devices=["cpu", "cuda"])


def test_devices_that_are_named_are_tried() -> None:
    (row,) = tried(torch.tanh, torch.tanh, "devices", devices=["cpu"]).rows
    assert row.result is Result.PASS
    assert "on cpu" in row.detail
    (row,) = tried(lambda x: 2 * x, torch.tanh, "devices", devices="cpu").rows
    assert row.result is Result.PASS  # on the CPU it is itself; against the reference, see *forward*


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is one")
def test_without_an_accelerator_there_is_nothing_to_try() -> None:
    (row,) = tried(torch.tanh, None, "devices").rows
    assert row.detail == "no accelerator on this machine"


@pytest.mark.parametrize("options", [{}, {"derivative": lambda x: x}])
def test_digits_that_are_lost_on_the_way_are_seen_without_a_reference(options: Any) -> None:
    (row,) = tried(lambda x: x.float(), None, "dtypes", **options).rows
    assert row.result is Result.FAIL
    assert "output in float64 is torch.float32, of fewer digits" in row.detail
    assert tried(lambda x: x.double(), None, "dtypes").passed
