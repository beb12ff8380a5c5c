"""An additive coupling, whose input can be had from its output: the block of reversible networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# the two functions of a block; without weights, so that all that is differentiated is an argument
F, G = nn.Tanh(), nn.GELU()


def additive(x: Tensor, dim: int = 1) -> Tensor:
    """y₁ = x₁ + F(x₂) and y₂ = x₂ + G(y₁) of the two halves of x.

    Gomez, Ren, Urtasun, Grosse, The Reversible Residual Network, NeurIPS 2017.
    """
    first, second = x.chunk(2, dim)
    first = first + F(second)
    return torch.cat([first, second + G(first)], dim)


def inverse(y: Tensor, dim: int = 1) -> Tensor:
    """The input of `additive`, from its output."""
    first, second = y.chunk(2, dim)
    second = second - G(first)
    return torch.cat([first - F(second), second], dim)
