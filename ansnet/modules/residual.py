"""Residual block."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.modules.sequence import Sequence


class PlainResidual(nn.Sequential):
    """`Residual` with nothing joined, and in words that TorchScript knows."""

    def forward(self, input: Tensor) -> Tensor:
        output = input
        for layer in self:
            output = layer(output)
        return input + output


class Residual(Sequence):
    """``z = x + block(x)``, where the block is the layers given (notebook, "Residuální sítě ResNet").

    Shapes: any that the block keeps.
    """

    twin = PlainResidual

    def forward(self, input: Tensor) -> Tensor:
        return input + super().forward(input)
