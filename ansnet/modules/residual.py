"""Residual block."""

from __future__ import annotations

from torch import Tensor

from ansnet.modules.sequence import Sequence


class Residual(Sequence):
    """``z = x + block(x)``, where the block is the layers given (notebook, "Residuální sítě ResNet").

    Shapes: any that the block keeps.
    """

    def forward(self, input: Tensor) -> Tensor:
        return input + super().forward(input)
