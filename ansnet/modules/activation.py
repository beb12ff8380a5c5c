"""The rectified linear unit as a layer."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.functional import relu


class ReLU(nn.Module):
    """`ansnet.functional.relu`, in the place of `torch.nn.ReLU`. Any shape to the same."""

    def forward(self, input: Tensor) -> Tensor:
        return relu(input)
