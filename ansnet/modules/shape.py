"""Flattening as a layer."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.functional import flatten


class Flatten(nn.Module):
    """Each sample as one row, in the place of `torch.nn.Flatten`.

    Args:
        start_dim, end_dim: the first and the last of the axes that become one.

    Shapes: N × D_2 × … × D_X to N × D, with D = D_2 · … · D_X (notebook, "Vrstva Flatten").
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
