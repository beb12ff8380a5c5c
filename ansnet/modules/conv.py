"""Two-dimensional convolution as a layer."""

from __future__ import annotations

from math import prod, sqrt
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ansnet.functional import conv2d
from ansnet.functional.arguments import Size2
from ansnet.modules.layer import Layer, leaf

Pair = int | tuple[int, int]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class Conv2d(Layer, nn.Conv2d):
    """`ansnet.functional.conv2d` with its filters, in the place of `torch.nn.Conv2d`.

    Args:
        in_channels: C.
        out_channels: F, the number of filters.
        kernel_size: K, or (height, width) of the window.
        stride, padding, dilation, groups: as `ansnet.functional.conv2d`.
        bias: learn a bias for each filter.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``: what the padding is
            made of; other than zeros it is `torch.nn.functional.pad`'s, with PyTorch's own gradient.
        device, dtype: of the weights, as in `torch.nn.Conv2d`.

    Weights start from U(−1/√(C/G·K_h·K_w), +1/√(C/G·K_h·K_w)), biases from zero (notebook,
    "Dvourozměrná konvoluce jako vrstva").

    Shapes: N × C × H × W to N × F × Q_h × Q_w; weight F × C/G × K_h × K_w, bias F.

    Raises:
        ValueError: ``groups`` divides the channels or the filters not evenly, or ``padding`` or
            ``padding_mode`` is an unknown word.
    """

    twin = nn.Conv2d

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        settings = stride, padding, dilation, groups, bias, padding_mode, device, dtype
        super().__init__(in_channels, out_channels, kernel_size, *settings)

    def reset_parameters(self) -> None:
        if self.weight.numel():
            bound = 1 / sqrt(prod(self.weight.shape[1:]))
            nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """As `torch.nn.Conv2d` has it, which others replace to pad in another way."""
        padding: Size2 | str = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        settings = self.stride, padding, self.dilation, self.groups
        return conv2d(input, weight, bias, *settings)
