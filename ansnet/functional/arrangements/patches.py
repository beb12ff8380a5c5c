r"""The weight gradient as a product of matrices: z̄ times what the window holds at each position.

::

    w̄[f,c,i,j] = Σ_n Σ_u Σ_v z̄[n,f,u,v] · x[n, c, S·u + D·i − P, S·v + D·j − P]

One matrix, X, has a row for each c, i, j and a column for each n, u, v: the window's contents, or
patches (im2col). The other has a column for each f. X is K² times as large as x, so it is made for a
part of the positions at a time, and the products are added up, in float32 at least.

The copies that make X are quick where runs of it are as long in memory of x: runs of an image's columns
(`parts_of_images`), or where these are short, of the images of the batch (`parts_of_rows`). Groups are
products of their own.

`weight_gradient_of_rows` is the transposed product in one piece, for K² times the memory of x, and
without writing in place: so it can be differentiated, transformed and compiled. It is how w̄ is computed
on a GPU; and where no two windows share an element of x (`stand_apart`: 1 × 1 windows, steps of K and
more), for then the patches are no larger than x.

Shapes: as in `ansnet.functional.conv`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor

from ansnet.functional.arguments import at_least_float32
from ansnet.functional.arrangements.plain import images_behind, is_half

Pair = tuple[int, int]

# How many numbers the patches of one product may have: 2 MB in float32 stay in a core's cache. With the
# images behind, the rows are long, and a larger product repays more than the cache.
PATCH_ELEMENTS = 2**19
PATCH_ELEMENTS_OF_ROWS = 2**21


def suits(x: Tensor, grad_z: Tensor, stride: Pair, dilation: Pair, groups: int) -> bool:
    """Whether this is quicker than ``conv2d`` with a window as large as the image."""
    if is_half(x):
        return True
    return groups == 1 and (is_large(grad_z) or stride != (1, 1) or dilation != (1, 1))


def is_large(grad_z: Tensor) -> bool:
    """Whether the windows of an image are many, so that its own columns make long runs."""
    return grad_z.shape[2:].numel() >= 256


def stand_apart(window_size: Pair, stride: Pair, dilation: Pair) -> bool:
    """Whether no two windows share an element of x, so that all patches are no larger than x."""
    spans = (D * (K - 1) + 1 for K, D in zip(window_size, dilation, strict=True))
    return all(span <= S for S, span in zip(stride, spans, strict=True))


def weight_gradient(
    x: Tensor,
    grad_z: Tensor,
    window_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int = 1,
) -> Tensor:
    """w̄, from products with a part of the patches each."""
    parts = parts_of_images if is_large(grad_z) else parts_of_rows
    C, num_filters = x.shape[1] // groups, grad_z.shape[1] // groups
    total = at_least_float32(x.new_zeros(groups, C * window_size[0] * window_size[1], num_filters))
    for patches, gradients in parts(x, grad_z, window_size, stride, padding, dilation):
        columns = patches.reshape(groups, len(total[0]), -1)
        rows = gradients.reshape(-1, groups, num_filters).transpose(0, 1)
        if total.dtype == x.dtype:
            total.baddbmm_(columns, rows)
        else:
            total += columns @ rows
    grad_w = total.view(groups, C, *window_size, num_filters)
    return grad_w.permute(0, 4, 1, 2, 3).flatten(0, 1).to(x.dtype)


def parts_of_images(
    x: Tensor, grad_z: Tensor, window_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Iterator[tuple[Tensor, Tensor]]:
    """Patches C × K × K × n × Q × Q and gradients n × Q × Q × F of a few images."""
    (P_h, P_w) = padding
    padded = F.pad(x.contiguous(), (P_w, P_w, P_h, P_h))
    patches = window_contents(padded, 2, window_size, stride, dilation).permute(1, 4, 5, 0, 2, 3)
    gradients = grad_z.permute(0, 2, 3, 1)
    size = max(1, PATCH_ELEMENTS // max(1, patches[:, :, :, 0].numel()))
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        yield patches[:, :, :, part], gradients[part]


def parts_of_rows(
    x: Tensor, grad_z: Tensor, window_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Iterator[tuple[Tensor, Tensor]]:
    """Patches C × K × K × q × Q × N and gradients q × Q × N × F of a few rows of all images."""
    (P_h, P_w) = padding
    padded = F.pad(images_behind(x).permute(2, 0, 1, 3), (0, 0, P_w, P_w, P_h, P_h)).contiguous()
    patches = window_contents(padded, 1, window_size, stride, dilation).permute(0, 4, 5, 1, 2, 3)
    gradients = grad_z.permute(2, 3, 0, 1).contiguous()
    size = max(1, PATCH_ELEMENTS_OF_ROWS // max(1, patches[:, :, :, 0].numel()))
    for start in range(0, len(gradients), size):
        part = slice(start, start + size)
        yield patches[:, :, :, part], gradients[part]


def weight_gradient_of_rows(
    x: Tensor, grad_z: Tensor, window_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """The same product with a row for each n, u, v, as channels-last memory has them: w̄ = z̄ᵀ X.

    Row (n,u,v) of z̄ holds the filters, that of X the window's contents there, in the order i, j, c.
    """
    (K_h, K_w), (P_h, P_w), C = window_size, padding, x.shape[1]
    N, num_filters, Q_h, Q_w = grad_z.shape
    padded = x.movedim(1, -1)
    if P_h or P_w:
        padded = F.pad(padded, (0, 0, P_w, P_w, P_h, P_h))
    patches = window_contents(padded, 1, window_size, stride, dilation).movedim(3, -1)
    rows = patches.reshape(N * Q_h * Q_w, K_h * K_w * C)
    grad_w = grad_z.movedim(1, -1).reshape(N * Q_h * Q_w, num_filters).T @ rows
    return grad_w.view(num_filters, K_h, K_w, C).movedim(-1, 1)


def window_contents(
    padded: Tensor, axis: int, window_size: Pair, stride: Pair, dilation: Pair
) -> Tensor:
    """What the window holds at each of its positions, a view: K_h × K_w are added behind all axes.

    Rows and columns are the axes ``axis`` and ``axis + 1``, and become those of the positions.
    """
    span_h, span_w = (D * (K - 1) + 1 for K, D in zip(window_size, dilation, strict=True))
    spans = padded.unfold(axis, span_h, stride[0]).unfold(axis + 1, span_w, stride[1])
    return spans[..., :: dilation[0], :: dilation[1]]
