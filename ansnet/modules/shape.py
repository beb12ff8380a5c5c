"""Flattening as a layer."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.functional import reshape


class Flatten(nn.Module):
    """Each sample as one row, in the place of `torch.nn.Flatten`.

    Shapes: N × D_2 × … × D_X to N × D, with D = D_2 · … · D_X (notebook, "Vrstva Flatten").
    """

    def forward(self, input: Tensor) -> Tensor:
        return reshape(input, input.shape[0], input.shape[1:].numel())
