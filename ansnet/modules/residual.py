"""Residual block."""

from __future__ import annotations

from torch import Tensor, nn


class Residual(nn.Sequential):
    """``z = x + block(x)``, where the block is the layers given (notebook, "Residuální sítě ResNet").

    Shapes: any that the block keeps.
    """

    def forward(self, input: Tensor) -> Tensor:
        z = input
        for layer in self:
            z = layer(z)
        return input + z
