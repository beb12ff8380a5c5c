"""Compare a function with the operation that it should equal: output and every gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

Function = Callable[..., Tensor]


def random(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, requires_grad=True)


def assert_equal(
    ours: Function,
    theirs: Function,
    tensors: Sequence[Tensor | None],
    tolerance: float,
) -> None:
    """Output and every gradient agree within ``tolerance``, absolute and relative.

    Gradients are of the inputs, and of the parameters where the functions are modules.
    """
    output, expected = ours(*tensors), theirs(*tensors)
    grad_output = torch.randn_like(expected)
    compared = [(output, expected)]
    sources = [[*filter_differentiable(tensors), *parameters_of(f)] for f in (ours, theirs)]
    if sources[0]:
        gradients = torch.autograd.grad(output, sources[0], grad_output)
        compared += zip(gradients, torch.autograd.grad(expected, sources[1], grad_output), strict=True)
    for one, other in compared:
        torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


def filter_differentiable(tensors: Sequence[Tensor | None]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor is not None and tensor.requires_grad]


def parameters_of(function: Function) -> list[Tensor]:
    return list(function.parameters()) if isinstance(function, nn.Module) else []


def assert_differentiable(function: Function, tensors: Sequence[Tensor | None]) -> None:
    """First and second derivatives equal the numerical ones."""
    assert gradcheck(function, tensors)
    assert gradgradcheck(function, tensors)
