"""`weight_gradient_of_rows` of `ansnet.functional.arrangements.patches`: w̄ as on a GPU, on a CPU."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional import conv2d
from ansnet.functional.arrangements.patches import weight_gradient_of_rows
from ansnet.functional.conv import weight_gradient

Pair = tuple[int, int]
SETTINGS = [  # image, window, stride, padding, dilation
    ((7, 8), (3, 3), (1, 1), (1, 1), (1, 1)),
    ((9, 11), (3, 2), (2, 3), (0, 0), (1, 1)),  # rows and columns that no window reaches
    ((10, 9), (2, 3), (1, 2), (3, 1), (2, 3)),
    ((4, 5), (4, 5), (1, 1), (0, 0), (1, 1)),
    ((5, 5), (1, 1), (1, 1), (0, 0), (1, 1)),
]


def made(image: Pair, window: Pair, *hyperparameters: Pair) -> tuple[Tensor, Tensor]:
    """An x, and a z̄ of the shape that z has."""
    torch.manual_seed(0)
    x = torch.randn(3, 4, *image, dtype=torch.float64)
    z = F.conv2d(x, x.new_zeros(6, 4, *window), None, *hyperparameters)
    return x, torch.randn_like(z)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("image", "window", "stride", "padding", "dilation"), SETTINGS)
def test_it_is_the_formula(
    image: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    memory_format: torch.memory_format,
) -> None:
    x, grad_z = made(image, window, stride, padding, dilation)
    x, grad_z = (tensor.contiguous(memory_format=memory_format) for tensor in (x, grad_z))
    hyperparameters = window, stride, padding, dilation
    formula = weight_gradient(x.requires_grad_(), grad_z, *hyperparameters, 1)
    rows = weight_gradient_of_rows(x, grad_z, *hyperparameters)
    torch.testing.assert_close(rows, formula, rtol=1e-12, atol=1e-12)


def test_it_can_be_differentiated_and_transformed() -> None:
    x, grad_z = made((5, 6), (3, 2), (2, 1), (1, 0), (1, 2))

    def rows(x: Tensor, grad_z: Tensor) -> Tensor:
        return weight_gradient_of_rows(x, grad_z, (3, 2), (2, 1), (1, 0), (1, 2))

    inputs = x.requires_grad_(), grad_z.requires_grad_()
    assert torch.autograd.gradcheck(rows, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(rows, inputs, fast_mode=True)
    each = torch.vmap(lambda x, grad_z: rows(x[None], grad_z[None]))(x, grad_z)
    torch.testing.assert_close(each.sum(0), rows(x, grad_z), rtol=1e-12, atol=1e-12)


@pytest.mark.cuda
@pytest.mark.parametrize("groups", [1, 2])
def test_on_cuda_it_is_pytorchs(groups: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, 9, 8, dtype=torch.float64, device="cuda", requires_grad=True)
    w = torch.randn(6, 4 // groups, 3, 3, dtype=torch.float64, device="cuda", requires_grad=True)
    ours = conv2d(x, w, padding=1, stride=2, groups=groups)
    theirs = F.conv2d(x, w, padding=1, stride=2, groups=groups)
    grad_z = torch.randn_like(theirs)
    for gradient, expected in zip(
        torch.autograd.grad(ours, (x, w), grad_z),
        torch.autograd.grad(theirs, (x, w), grad_z),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-10)
