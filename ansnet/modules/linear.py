"""Linear (fully connected) layer."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn

from ansnet.functional import linear
from ansnet.modules.layer import Layer, leaf


class Linear(Layer, nn.Linear):
    """`ansnet.functional.linear` with its weights, in the place of `torch.nn.Linear`.

    Args:
        in_features: D.
        out_features: F.
        bias: learn a bias for each output.
        device, dtype: of the weights, as in `torch.nn.Linear`.

    Weights start from U(−1/√D, +1/√D), biases from zero.

    Shapes: … × D to … × F; weight F × D, bias F.
    """

    twin = nn.Linear

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)

    def reset_parameters(self) -> None:
        if self.weight.numel():
            bound = 1 / sqrt(self.in_features)
            nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)
