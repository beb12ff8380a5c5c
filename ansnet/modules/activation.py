"""The rectified linear unit as a layer."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.functional import relu
from ansnet.functional.left_out import refuse


class ReLU(nn.Module):
    """`ansnet.functional.relu`, in the place of `torch.nn.ReLU`. Any shape to the same.

    Args:
        inplace: left out, see ``docs/complete.md``.
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        refuse("ReLU", inplace=inplace)

    def forward(self, input: Tensor) -> Tensor:
        return relu(input)
