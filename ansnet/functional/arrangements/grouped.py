r"""Gradients of convolutions in groups, above all of one channel each (depthwise).

With a step of 1 the input gradient is a convolution too: of z̄ by the windows turned round, with the
rest of the border, D(K − 1) − P, channels and filters having exchanged places within each group::

    x̄ = conv2(z̄, w′; 1, D(K − 1) − P, D)      w′[c,f,i,j] = w[f, c, K − 1 − i, K − 1 − j]

A kernel for convolutions in groups is quicker than that for their transposes.

With one channel and one filter in each group the weight gradient is no product of matrices, but a sum
for each channel and place in the window::

    w̄[c,i,j] = Σ_n Σ_u Σ_v z̄[n,c,u,v] · x[n, c, S·u + D·i − P, S·v + D·j − P]

Generated code (`ansnet.functional.kernel`) takes the K² sums in one pass.

Shapes: as in `ansnet.functional.conv`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional.arguments import at_least_float32
from ansnet.functional.kernel import kernel

Pair = tuple[int, int]

MOST_PLACES = 49  # in a window, each a sum in the generated code


def suits_input_gradient(w: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> bool:
    """Whether x̄ is a convolution of z̄, and there are groups."""
    rest = rest_of_border(w, padding, dilation)
    return groups > 1 and stride == (1, 1) and min(rest) >= 0


def suits_weight_gradient(x: Tensor, grad_z: Tensor, window_size: Pair, groups: int) -> bool:
    """Whether each group is one channel and one filter."""
    places = window_size[0] * window_size[1]
    return 1 < groups == x.shape[1] == grad_z.shape[1] and places <= MOST_PLACES


def input_gradient(grad_z: Tensor, w: Tensor, padding: Pair, dilation: Pair, groups: int) -> Tensor:
    """x̄ = conv2(z̄, w′; 1, D(K − 1) − P, D)."""
    turned = w.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1).flip(2, 3)
    rest = rest_of_border(w, padding, dilation)
    return F.conv2d(grad_z, turned, None, 1, rest, dilation, groups)


def rest_of_border(w: Tensor, padding: Pair, dilation: Pair) -> Pair:
    """D(K − 1) − P."""
    rest_h, rest_w = (D * (K - 1) - P for K, P, D in zip(w.shape[2:], padding, dilation, strict=True))
    return rest_h, rest_w


def weight_gradient(
    x: Tensor, grad_z: Tensor, window_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """w̄, C × 1 × K × K."""
    P_h, P_w = padding
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, P_w, P_w, P_h, P_h))
    sums = sums_of_channels(padded, grad_z.permute(0, 2, 3, 1), window_size, stride, dilation)
    return sums.view(-1, 1, *window_size).to(x.dtype)


@kernel
def sums_of_channels(
    padded: Tensor, grad_z: Tensor, window_size: Pair, stride: Pair, dilation: Pair
) -> Tensor:
    """The sums, C × K², of N × M × M × C and N × Q × Q × C; each image's first."""
    (K_h, K_w), (S_h, S_w), (D_h, D_w) = window_size, stride, dilation
    Q_h, Q_w = grad_z.shape[1:3]
    grad_z = at_least_float32(grad_z)
    sums = []
    for i in range(K_h):
        rows = padded[:, D_h * i : D_h * i + S_h * (Q_h - 1) + 1 : S_h]
        for j in range(K_w):
            contents = rows[:, :, D_w * j : D_w * j + S_w * (Q_w - 1) + 1 : S_w]
            sums.append((at_least_float32(contents) * grad_z).sum((1, 2)).sum(0))
    return torch.stack(sums, -1)
