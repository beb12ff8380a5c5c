"""In half precision sums are taken in float32: an error does not grow with what is summed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ansnet.functional.arrangements import grouped, patches, side_by_side
from ansnet.functional.conv import bias_gradient, weight_gradient

ONE = (1, 1)


def relative_error(ours: Tensor, exact: Tensor) -> float:
    return float((ours.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("images", [8, 128, 700])
def test_of_many_images_side_by_side(images: int, dtype: torch.dtype) -> None:
    x, grad_z = made((images, 16, 4, 4), 16, dtype)
    assert side_by_side.suits_weight_gradient(x, grad_z, ONE, ONE, 1)
    ours = side_by_side.weight_gradient(x, grad_z, ONE)
    assert relative_error(ours, exact_gradient(x, grad_z)) < torch.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size", [9, 20])
def test_of_many_patches(size: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "PATCH_ELEMENTS", 1)  # a product for each image, or row
    monkeypatch.setattr(patches, "PATCH_ELEMENTS_OF_ROWS", 1)
    x, grad_z = made((60, 4, size, size), 6, dtype)
    assert patches.is_large(grad_z) == (size == 20)
    ours = patches.weight_gradient(x, grad_z, (3, 3), ONE, ONE, ONE)
    assert relative_error(ours, exact_gradient(x, grad_z)) < torch.finfo(dtype).eps


def test_of_channels() -> None:
    x, grad_z = made((200, 16, 9, 9), 16, torch.bfloat16)
    ours = grouped.weight_gradient(x, grad_z, (3, 3), ONE, ONE, ONE)
    exact = exact_gradient(x, grad_z, groups=16)
    assert relative_error(ours, exact) < torch.finfo(torch.bfloat16).eps


def test_of_the_bias() -> None:
    _, grad_z = made((700, 2, 9, 9), 6, torch.bfloat16)
    ours = bias_gradient(grad_z)
    assert ours.dtype == torch.bfloat16
    assert relative_error(ours, grad_z.double().sum((0, 2, 3))) < torch.finfo(torch.bfloat16).eps


def made(shape: Any, filters: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """An x and a z̄ whose products have a mean, so that their sums grow with their number."""
    torch.manual_seed(0)
    images, _, *size = shape
    x, grad_z = torch.randn(shape) + 0.5, torch.randn(images, filters, *size) / 50 + 0.01
    last = torch.channels_last
    return x.to(dtype).contiguous(memory_format=last), grad_z.to(dtype).contiguous(memory_format=last)


def exact_gradient(x: Tensor, grad_z: Tensor, groups: int = 1) -> Tensor:
    return weight_gradient(x.double(), grad_z.double(), (3, 3), ONE, ONE, ONE, groups, plain=True)
