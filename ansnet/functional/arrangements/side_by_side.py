r"""All images as one wide image: convolutions of small images at the pace of large ones.

A kernel for convolutions computes a row of outputs at a time, and with 2 × 2 images a row is two. Here
the images of a batch lie side by side, so that the row is long: with the columns of all images in
turn, ::

    X[c, k, N·l + n] = x[n, c, k, l]

what was one column further is N columns further, and the convolution of X with dilation and padding N
times as wide computes that of each image, and nothing else::

    Z[f, u, N·v + n] = b[f] + Σ_c Σ_i Σ_j w[f,c,i,j] · X[c, u + D·i − P, (N·v + n) + N·D·j − N·P]
                     = z[n, f, u, v]

No image reaches another, since N·v + n and N·v + n + N·D·j are of the same image n; and the padding is
the images' own. The input gradient is the transpose of the same.

The weight gradient is a convolution too (see `ansnet.functional.conv`), in which channels are the batch
and images the channels, z̄ is the window, and the result is K × K. There it is the channels that lie
side by side, C of them::

    w̄[f, c, i, j] = conv2(X, z̄)[f, i, C·j + c]      X[n, k, C·l + c] = x[n, c, k, l]

The sum over n is taken for `IMAGES` of them at a time, or half as many.

The numbers are those of ``conv2d`` itself, which computes them. Steps of more than 1 are not for this
arrangement, since columns v and v + 1 would be no longer N apart.

Shapes: as in `ansnet.functional.conv`, with S = 1, and for w̄ D = 1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional.arrangements.plain import images_behind, is_half

Pair = tuple[int, int]

LEAST_IMAGES = 8
IMAGES = 128  # summed over at once, for w̄; a multiple of 32, the rows of a matrix unit
# Channels times columns of the window. With some 12,000 of them and long rows PyTorch (2.13, 2.14) is
# wrong in bfloat16 on AMX: findings/bf16_conv2d_times_window_width.sh.
MOST_IN_A_ROW = 8192


def suits(x: Tensor, w: Tensor, stride: Pair) -> bool:
    """Whether images are so small, and so many, that this is quicker than image by image."""
    small = max(x.shape[2:]) <= (7 if is_half(x) else 4)
    # and not both, as images of one channel or of one element are
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    many = len(x) >= LEAST_IMAGES
    return (
        small
        and many
        and channels_last
        and stride == (1, 1)
        and x.shape[1] * w.shape[3] <= MOST_IN_A_ROW
    )


def suits_weight_gradient(x: Tensor, grad_z: Tensor, stride: Pair, dilation: Pair, groups: int) -> bool:
    """The same of w̄; in half precision, for small images, which other arrangements are slow with."""
    small = max(grad_z.shape[2:]) <= 16 and is_half(x)
    simple = stride == dilation == (1, 1) and groups == 1
    return small and simple and len(x) >= LEAST_IMAGES and min(x.shape[1], grad_z.shape[1]) >= 16


def convolve(
    x: Tensor, w: Tensor, b: Tensor | None, padding: Pair, dilation: Pair, groups: int
) -> Tensor:
    """The convolution z = conv2(x, w, b; 1, P, D), in channels-last memory."""
    N = len(x)
    z = F.conv2d(as_one(x), w, b, 1, widened(padding, N), widened(dilation, N), groups)
    return as_many(z, N)


def input_gradient(grad_z: Tensor, w: Tensor, padding: Pair, dilation: Pair, groups: int) -> Tensor:
    """x̄ = conv2ᵀ(z̄, w; 1, P, D), in channels-last memory."""
    N = len(grad_z)
    wide = widened(padding, N), 0, groups, widened(dilation, N)
    return as_many(F.conv_transpose2d(as_one(grad_z), w, None, 1, *wide), N)


def weight_gradient(x: Tensor, grad_z: Tensor, padding: Pair) -> Tensor:
    """w̄[f,c] = Σ_n conv2(x[n,c], z̄[n,f]; 1, P, 1), summed in float32 at least."""
    size = IMAGES if grad_z.shape[2:].numel() <= 64 else IMAGES // 2  # of larger ones, for the memory
    pairs = zip(x.split(size), grad_z.split(size), strict=True)
    grads = [weight_gradient_of_part(*pair, padding) for pair in pairs]
    return grads[0] if len(grads) == 1 else torch.stack(grads).sum(0, dtype=torch.float32).to(x.dtype)


def weight_gradient_of_part(x: Tensor, grad_z: Tensor, padding: Pair) -> Tensor:
    """The same of some of the images."""
    C = x.shape[1]
    columns = images_behind(x).flatten(1, 2)[None].permute(0, 3, 1, 2)  # 1 × N × M × M·C
    windows = images_behind(grad_z).permute(2, 3, 0, 1)  # F × N × Q × Q
    windows = windows.contiguous(memory_format=torch.channels_last)
    wide = F.conv2d(columns, windows, None, 1, widened(padding, C), (1, C))
    grad_w: Tensor = wide[0].unflatten(2, (-1, C)).permute(0, 3, 1, 2)
    return grad_w


def widened(sizes: Pair, times: int) -> Pair:
    """In the columns' direction so many times as wide."""
    return sizes[0], sizes[1] * times


def as_one(x: Tensor) -> Tensor:
    """N × C × M × M as one image 1 × C × M × M·N, the images' columns in turn."""
    return x.permute(2, 3, 0, 1).flatten(1, 2)[None].permute(0, 3, 1, 2)


def as_many(z: Tensor, N: int) -> Tensor:
    """Undo `as_one`."""
    z = z[0].unflatten(2, (-1, N)).permute(3, 0, 1, 2)
    return z.contiguous(memory_format=torch.channels_last)
