"""The rectified linear unit as a layer."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.functional import relu
from ansnet.modules.layer import Layer, leaf


class ReLU(Layer, nn.ReLU):
    """`ansnet.functional.relu`, in the place of `torch.nn.ReLU`. Any shape to the same.

    Args:
        inplace: write the output to the input as well.
    """

    twin = nn.ReLU

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return relu(input, self.inplace)
