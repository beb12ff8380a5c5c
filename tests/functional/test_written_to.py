"""What an operation returns may be written to in place, as PyTorch's may: ``nn.ReLU(inplace=True)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet import functional

Function = Callable[..., Tensor]
SMALL, LARGE = (2, 16, 6, 6), (16, 64, 10, 10)  # code is generated for the second


def normalise(function: Function, training: bool, **settings: Any) -> Function:
    def normalised(x: Tensor) -> Tensor:
        zeros, ones = x.new_zeros(x.shape[1]), x.new_ones(x.shape[1])
        if function is F.batch_norm:
            return function(x, zeros.clone(), ones.clone(), ones + 1, zeros, training)
        return function(x, ones + 1, zeros, zeros.clone(), ones.clone(), training, **settings)

    return normalised


def filters(x: Tensor, *size: int) -> Tensor:
    count = torch.Size(size).numel() * 7 * x.shape[1]
    return torch.linspace(-1, 1, count, dtype=x.dtype).reshape(7, x.shape[1], *size)


OPERATIONS: dict[str, tuple[Function, Function]] = {
    "conv2d": (
        lambda x: functional.conv2d(x, filters(x, 3, 3), padding=1),
        lambda x: F.conv2d(x, filters(x, 3, 3), padding=1),
    ),
    "max_pool2d": (
        lambda x: functional.max_pool2d(x, 2, ties="first"),
        lambda x: F.max_pool2d(x, 2),
    ),
    "max_pool2d of windows that overlap": (
        lambda x: functional.max_pool2d(x, 3, 2, 1, ties="first"),
        lambda x: F.max_pool2d(x, 3, 2, 1),
    ),
    "relu_max_pool2d": (
        lambda x: functional.relu_max_pool2d(x, 2),
        lambda x: F.max_pool2d(F.relu(x), 2),
    ),
    "reshape": (lambda x: functional.reshape(x, 4, -1), lambda x: x.reshape(4, -1)),
    "linear": (
        lambda x: functional.linear(x.movedim(1, -1), filters(x)),
        lambda x: F.linear(x.movedim(1, -1), filters(x)),
    ),
    "linear with a bias": (
        lambda x: functional.linear(x.movedim(1, -1), filters(x), filters(x)[:, 0]),
        lambda x: F.linear(x.movedim(1, -1), filters(x), filters(x)[:, 0]),
    ),
    "batch_norm1d": (
        lambda x: normalise(functional.batch_norm1d, True)(x[..., 0, 0]),
        lambda x: normalise(F.batch_norm, True)(x[..., 0, 0]),
    ),
    "batch_norm1d of signals": (
        lambda x: normalise(functional.batch_norm1d, True)(x.flatten(2)),
        lambda x: normalise(F.batch_norm, True)(x.flatten(2)),
    ),
    "batch_norm2d": (normalise(functional.batch_norm2d, True), normalise(F.batch_norm, True)),
    "batch_norm2d by running averages": (
        normalise(functional.batch_norm2d, False),
        normalise(F.batch_norm, False),
    ),
    "batch_norm_relu2d": (
        normalise(functional.batch_norm_relu2d, True),
        lambda x: F.relu(normalise(F.batch_norm, True)(x)).clone(),  # or its own backward objects
    ),
    "batch_norm_relu2d, pooled": (
        normalise(functional.batch_norm_relu2d, True, window_size=2),
        lambda x: F.max_pool2d(F.relu(normalise(F.batch_norm, True)(x)), 2),
    ),
}


def written_to(function: Function, x: Tensor) -> Tensor:
    return function(x * 1).mul_(2).sin()


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("shape", [SMALL, LARGE])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_what_is_returned_may_be_written_to(
    name: str, shape: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64).contiguous(memory_format=memory_format)
    results = []
    for function in OPERATIONS[name]:
        leaf = x.clone().requires_grad_()
        z = written_to(function, leaf)
        z.sum().backward()
        results.append((z, leaf.grad))
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "batch_norm" not in name])
def test_under_transformations_too(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, *SMALL, dtype=torch.float64)
    ours, theirs = (
        torch.vmap(torch.func.grad(lambda x, f=function: written_to(f, x).sum()))(x)
        for function in OPERATIONS[name]
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", OPERATIONS)
def test_in_what_is_compiled_too(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(SMALL, dtype=torch.float64)
    results = []
    for function in OPERATIONS[name]:
        leaf = x.clone().requires_grad_()
        compiled = torch.compile(lambda x, f=function: written_to(f, x), backend="aot_eager")
        compiled(leaf).sum().backward()
        results.append(leaf.grad)
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)


def test_winograd_s_output_too() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 256, 16, 16).contiguous(memory_format=torch.channels_last)
    w = torch.randn(512, 256, 3, 3, requires_grad=True)
    functional.conv2d(x, w, padding=1).mul_(2).sum().backward()
    assert w.grad is not None


@pytest.mark.parametrize(
    "name", ["max_pool2d", "relu_max_pool2d", *(n for n in OPERATIONS if "2d" in n)]
)
def test_of_a_transposed_image_it_lies_in_order(name: str) -> None:
    torch.manual_seed(0)
    for x in (torch.randn(2, 4, 6, 6).transpose(2, 3), torch.randn(2, 4, 6, 6).transpose(0, 1)):
        ours, theirs = (function(x) for function in OPERATIONS[name])
        assert ours.is_contiguous()
        torch.testing.assert_close(ours.view(len(x), -1), theirs.reshape(len(x), -1))
