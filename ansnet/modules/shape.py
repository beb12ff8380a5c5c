"""Flattening as a layer."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.functional import flatten
from ansnet.modules.layer import Layer, leaf


class Flatten(Layer, nn.Flatten):
    """Each sample as one row, in the place of `torch.nn.Flatten`.

    Args:
        start_dim, end_dim: the first and the last of the axes that become one.

    Shapes: N × D_2 × … × D_X to N × D, with D = D_2 · … · D_X (notebook, "Vrstva Flatten").
    """

    twin = nn.Flatten

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return flatten(input, self.start_dim, self.end_dim)
