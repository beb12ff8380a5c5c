r"""Two-dimensional convolution.

Forward::

    z[n,f,u,v] = b[f] + Σ_c Σ_i Σ_j w[f,c,i,j] · x[n, c, S·u + D·i − P, S·v + D·j − P]

    z = conv2(x, w, b; S, P, D)

where x is zero outside of its M × M elements. Backward::

    x̄      = conv2ᵀ(z̄, w; S, P, D) with output padding O
    w̄[f,c] = Σ_n conv2(x[n,c], z̄[n,f]; stride D, padding P, dilation S), K × K of it
    b̄[f]   = Σ_n Σ_u Σ_v z̄[n,f,u,v]

Tangent::

    ż = conv2(ẋ, w, ḃ; S, P, D) + conv2(x, ẇ; S, P, D)

The weight gradient is a convolution too: differentiating z by w leaves the sum
``z̄[n,f,u,v] · x[n, c, S·u + D·i − P, …]``, in which (u, v) runs over a window as (i, j) did and
the other way round. So z̄ is the window, and stride and dilation have exchanged their roles.

Shapes (each of M, K, Q, S, P, D, O is a pair, height and width)::

    x  N × C × M × M            C input channels
    w  F × C/G × K × K          F filters in G groups: group g of the filters sees group g of C
    b  F
    z  N × F × Q × Q            Q = ⌊(M + 2P − D(K − 1) − 1) / S⌋ + 1
                                O = M − (Q − 1)S + 2P − (K − 1)D − 1

When S > 1 several M give the same Q; O says which one it was: it is the number of rows (columns)
that the last window leaves untouched. The same remainder would make the weight gradient's convolution
longer than K, by ⌊O/D⌋ rows below and columns on the right. They are not computed: what no window
touches is cropped from x. Of complex numbers x̄ and w̄ take the conjugates of w and x, as PyTorch's
gradients do.

Arrangements. z and x̄ are computed as they are written, by ``conv2d`` and ``conv_transpose2d``; w̄ is
too, by ``conv2d``, wherever derivatives of it or other transformations may follow. That has a window
as large as the image, which no kernel is made for. So where nothing but numbers is asked for, the same
sums are taken in another order, whichever was the quickest of those measured (``benchmarks/``):

- for 3 × 3 windows with S = D = 1, on a CPU, `ansnet.functional.winograd` for w̄ of images larger than
  2 × 2, and for z and x̄ in channels-last memory where channels, filters and images are large
  (`repays_transforms`); its rounding is another, ``with plain_sums():`` does without it;
- for w̄ with few channels, a product of matrices: z̄ times the window's contents at each of its
  positions (`weight_gradient_of_patches`).

On a GPU that product is how w̄ is computed always, unless there are groups: in one piece, for K² times
the memory of x, and without writing in place, so that it can be differentiated, transformed and
compiled (`weight_gradient_of_rows`). So it is on a CPU where no two windows share an element of x
(1 × 1 windows, strides of K and more), for then the patches are no larger than x.

Source: the notebook, "Dvourozměrná konvoluce jako diferencovatelná funkce". For the arithmetic of
the sizes: Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* (2016), eq. 14.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional import winograd
from ansnet.functional.arguments import (
    Size2,
    as_pair,
    cast_for_autocast,
    in_memory_format,
    is_channels_last,
)
from ansnet.functional.function import (
    as_new,
    calls_for_operator,
    compilable,
    only_numbers,
    save,
    saved,
    where_needed,
)
from ansnet.functional.kernel import kernel

Pair = tuple[int, int]


class Conv2d(torch.autograd.Function):
    """z = conv2(x, w, b; S, P, D); the module's docstring has the formulas.

    ``Conv2d.apply(x, w, b, stride, padding, dilation, groups)``, each hyperparameter but
    ``groups`` a pair; b may be None.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, w: Tensor, b: Tensor | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
    ) -> Tensor:
        suits = suits_winograd(x, w, w.shape[2:], stride, dilation, groups)
        suits = suits and (b is None or b.dtype == x.dtype)  # or else PyTorch's error
        if suits and repays_transforms(x, len(w)) and winograd.allowed():
            z = winograd.convolve(x, w, b, padding)
            if is_finite(z):
                return as_new(z)
        return as_new(F.conv2d(x, w, b, stride, padding, dilation, groups))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, w, _, ctx.stride, ctx.padding, ctx.dilation, ctx.groups = inputs
        needs_grad_x, needs_grad_w, *_ = ctx.needs_input_grad
        ctx.image_size, ctx.window_size = x.shape[2:], w.shape[2:]
        ctx.plain, ctx.channels_last = not winograd.allowed(), is_channels_last(w)
        save(ctx, (where_needed(needs_grad_w, x), where_needed(needs_grad_x, w)), (x, w))

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, ...]:
        x, w = saved(ctx, ctx.for_backward)
        hyperparameters = ctx.stride, ctx.padding, ctx.dilation, ctx.groups
        grad_x = grad_w = grad_b = None
        # x̄ last, so that it need not be kept beside what w̄ takes
        if ctx.needs_input_grad[1]:
            grad_w = weight_gradient(
                x.conj(), grad_z, ctx.window_size, *hyperparameters, plain=ctx.plain
            )
            grad_w = in_memory_format(grad_w, ctx.channels_last)
        if ctx.needs_input_grad[2]:
            grad_b = bias_gradient(grad_z)
        if ctx.needs_input_grad[0]:
            grad_x = input_gradient(grad_z, w.conj(), ctx.image_size, *hyperparameters, plain=ctx.plain)
        return grad_x, grad_w, grad_b, None, None, None, None

    @staticmethod
    def jvp(
        ctx: Any, tangent_x: Tensor, tangent_w: Tensor, tangent_b: Tensor | None, *_: None
    ) -> Tensor:
        x, w = saved(ctx, ctx.for_forward)
        hyperparameters = ctx.stride, ctx.padding, ctx.dilation, ctx.groups
        through_x = F.conv2d(tangent_x, w, tangent_b, *hyperparameters)
        return through_x + F.conv2d(x, tangent_w, None, *hyperparameters)


apply_conv2d = compilable(Conv2d)


def input_gradient(
    grad_z: Tensor,
    w: Tensor,
    image_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    plain: bool = False,
) -> Tensor:
    """x̄ = conv2ᵀ(z̄, w; S, P, D), with the output padding that gives it the shape of x."""
    suits = not plain and suits_winograd(grad_z, w, w.shape[2:], stride, dilation, groups)
    if suits and repays_transforms(grad_z, w.shape[1]):
        grad_x = winograd.input_gradient(grad_z, w, padding)
        if is_finite(grad_x):
            return grad_x
    sizes = image_size, grad_z.shape[2:], w.shape[2:]
    O = output_padding(*sizes, stride, padding, dilation)  # noqa: E741
    return F.conv_transpose2d(grad_z, w, None, stride, padding, O, groups, dilation)


def output_padding(
    image_size: Sequence[int],
    output_size: Sequence[int],
    window_size: Sequence[int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> Pair:
    """O = M − (Q − 1)S + 2P − (K − 1)D − 1, rows and columns that the last window leaves untouched."""
    sizes = zip(image_size, output_size, window_size, stride, padding, dilation, strict=True)
    O_h, O_w = (M - (Q - 1) * S + 2 * P - (K - 1) * D - 1 for M, Q, K, S, P, D in sizes)
    return O_h, O_w


def weight_gradient(
    x: Tensor,
    grad_z: Tensor,
    window_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    plain: bool = False,
) -> Tensor:
    """w̄[f,c] = Σ_n conv2(x[n,c], z̄[n,f]; D, P, S) for all f and c at once.

    ``conv2d`` sums over channels, the formula over images: so n and the channels trade places,
    c becoming the batch and f the filter. Filters of group g need the channels of group g only,
    which is what ``groups`` means, once n has moved behind the group index.
    """
    geometry = window_size, stride, padding, dilation
    if len(x) == 0:  # a sum over no images, which conv2d refuses, is 0 in whichever group
        return weight_gradient_of_rows(x[:, : x.shape[1] // groups], grad_z, *geometry)
    suits = not plain and suits_winograd(x, grad_z, window_size, stride, dilation, groups)
    if suits and repays_transforms_of_gradient(x, grad_z):
        grad_w = winograd.weight_gradient(x, grad_z, padding)
        if is_finite(grad_w):
            return grad_w
    if groups == 1 and (x.device.type == "cuda" or stand_apart(window_size, stride, dilation)):
        return weight_gradient_of_rows(x, grad_z, *geometry)
    if suits_patches(x, grad_z, groups):
        return weight_gradient_of_patches(x, grad_z, *geometry)
    channels = x.unflatten(1, (groups, -1)).permute(2, 1, 0, 3, 4).flatten(1, 2)  # C/G × G·N × M × M
    windows = grad_z.transpose(0, 1)  # F × N × Q × Q
    O_h, O_w = output_padding(x.shape[2:], grad_z.shape[2:], *geometry)
    if O_h >= dilation[0] or O_w >= dilation[1]:
        (P_h, P_w), padding = padding, (0, 0)
        padded = F.pad(channels, (P_w, P_w, P_h, P_h))
        channels = padded[..., : padded.shape[-2] - O_h, : padded.shape[-1] - O_w]
    grad_w = F.conv2d(
        channels, windows, None, stride=dilation, padding=padding, dilation=stride, groups=groups
    )
    return grad_w.transpose(0, 1)


@kernel
def bias_gradient(grad_z: Tensor) -> Tensor:
    """b̄[f] = Σ_n Σ_u Σ_v z̄[n,f,u,v], image by image."""
    return grad_z.sum((2, 3)).sum(0)


def weight_gradient_of_patches(
    x: Tensor, grad_z: Tensor, window_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """w̄[f,c,i,j] = Σ z̄[n,f,u,v] · x[n, c, S·u + D·i − P, S·v + D·j − P] as a product of matrices.

    One has a row for each c, i, j, the other a column for each f. The sum runs over n, u, v, for a few
    images at a time, so that the patches, K² times as large as x, stay in the cache.
    """
    (K_h, K_w), (P_h, P_w), C, num_filters = window_size, padding, x.shape[1], grad_z.shape[1]
    padded = F.pad(x.contiguous(), (P_w, P_w, P_h, P_h))
    patches = window_contents(padded, 2, window_size, stride, dilation).permute(1, 4, 5, 0, 2, 3)
    gradients = grad_z.permute(0, 2, 3, 1)
    size = max(1, PATCH_ELEMENTS // patches[:, :, :, 0].numel())
    grad_w = x.new_zeros(C * K_h * K_w, num_filters)
    for start in range(0, len(x), size):
        columns = patches.narrow(3, start, min(size, len(x) - start)).reshape(len(grad_w), -1)
        grad_w.addmm_(columns, gradients[start : start + size].reshape(-1, num_filters))
    return grad_w.view(C, K_h, K_w, num_filters).permute(3, 0, 1, 2)


# How many numbers the patches of one product may have: 2 MB in float32 stay in a core's cache.
PATCH_ELEMENTS = 2**19


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


def suits_winograd(
    x: Tensor, w: Tensor, window_size: Sequence[int], stride: Pair, dilation: Pair, groups: int
) -> bool:
    """Whether `ansnet.functional.winograd` has this convolution, and only numbers are asked for."""
    plain = tuple(window_size) == (3, 3) and stride == dilation == (1, 1) and groups == 1
    precise = x.dtype == w.dtype and x.dtype in (torch.float32, torch.float64)
    return plain and precise and x.device.type == "cpu" and only_numbers(x, w)


def repays_transforms(x: Tensor, num_filters: int) -> bool:
    """Whether multiplications saved in a convolution of x outweigh the transforms, as measured.

    In contiguous memory they do not outweigh the precision lost: PyTorch's kernel for it is four times
    as precise as that for channels-last.
    """
    C, M_h, M_w = x.shape[1:]
    large = min(C, num_filters) >= 256 and C * num_filters * M_h * M_w >= 2**23
    return large and x.is_contiguous(memory_format=torch.channels_last)


def repays_transforms_of_gradient(x: Tensor, grad_z: Tensor) -> bool:
    """The same of the weight gradient, whose other arrangement is slower."""
    return min(x.shape[1], grad_z.shape[1]) >= 64 and min(grad_z.shape[2:]) > 2


def is_finite(result: Tensor) -> bool:
    """Whether Winograd's sums are to be believed: in its tiles an infinite number reaches all others.

    Nor can they be where finite numbers are so large that the transforms, or this sum, overflow.
    """
    return bool(result.sum().isfinite())


def stand_apart(window_size: Pair, stride: Pair, dilation: Pair) -> bool:
    """Whether no two windows share an element of x, so that all patches are no larger than x."""
    spans = (D * (K - 1) + 1 for K, D in zip(window_size, dilation, strict=True))
    return all(span <= S for S, span in zip(stride, spans, strict=True))


def suits_patches(x: Tensor, grad_z: Tensor, groups: int) -> bool:
    """Whether `weight_gradient_of_patches` is the quicker one, and only numbers are asked for."""
    large = grad_z.shape[2:].numel() >= 256
    return large and groups == 1 and x.device.type == "cpu" and only_numbers(x, grad_z)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size2 = 1,
    padding: Size2 | str = 0,
    dilation: Size2 = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve a batch of images with a bank of filters; as ``torch.nn.functional.conv2d``.

    Args:
        input: images, N × C × H × W, or one image, C × H × W.
        weight: filters, F × C/groups × K_h × K_w.
        bias: F, added to each filter's output; None adds nothing.
        stride: rows and columns that the window moves by.
        padding: rows and columns of zeros on each side; ``"valid"`` is 0, ``"same"`` as many as
            give the output the size of the input (the odd one below and on the right).
        dilation: distance between neighbouring elements of the window.
        groups: parts that channels and filters are split into, each seeing its own part only.

    Returns:
        N × F × Q_h × Q_w (or F × Q_h × Q_w), with Q = ⌊(H + 2P − D(K − 1) − 1) / S⌋ + 1.

    Raises:
        RuntimeError: the shapes don't fit together, the window is larger than the padded image, or
            a hyperparameter is out of its range.
        TypeError: a hyperparameter is not an int or a pair of ints.
        ValueError: ``padding`` is an unknown word.

    Example:
        >>> x, w = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2)
        >>> conv2d(x, w, stride=2, padding=1)
        tensor([[[[1., 2.],
                  [2., 4.]]]])
    """
    if calls_for_operator(input, weight, bias):
        return F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    if input.dim() == 3:
        return conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    strides, dilations = as_pair("stride", stride, 1), as_pair("dilation", dilation, 1)
    _check_channels(input, weight, bias, groups)
    if isinstance(padding, str):
        input, paddings = _named_padding(padding, input, weight, strides, dilations)
    else:
        paddings = as_pair("padding", padding, 0)
    padded = [M + 2 * P for M, P in zip(input.shape[2:], paddings, strict=True)]
    spans = [D * (K - 1) + 1 for K, D in zip(weight.shape[2:], dilations, strict=True)]
    if padded[0] < spans[0] or padded[1] < spans[1]:
        raise RuntimeError(
            f"conv2d: the dilated window is {spans[0]} x {spans[1]}, larger than the padded image, "
            f"{padded[0]} x {padded[1]}"
        )
    tensors = cast_for_autocast(input), cast_for_autocast(weight), cast_for_autocast(bias)
    if input.shape[1] == 0:  # nothing to sum: PyTorch answers images without channels
        return F.conv2d(*tensors, strides, paddings, dilations, groups)
    z: Tensor = apply_conv2d(*tensors, strides, paddings, dilations, groups)
    return z


def _check_channels(input: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    if input.dim() != 4 or weight.dim() != 4:
        raise RuntimeError(
            "conv2d expects an input of shape (N, C, H, W) or (C, H, W) and a weight of shape "
            f"(F, C/groups, K_h, K_w), got {tuple(input.shape)} and {tuple(weight.shape)}"
        )
    if not isinstance(groups, int):
        raise TypeError(f"groups must be an int, got {groups!r}")
    num_filters, group_channels = weight.shape[:2]
    if groups < 1 or num_filters % groups:
        raise RuntimeError(f"conv2d: groups must divide the {num_filters} filters, got groups={groups}")
    if input.shape[1] != group_channels * groups:
        raise RuntimeError(
            f"conv2d: the input has {input.shape[1]} channels, but a weight of shape "
            f"{tuple(weight.shape)} with groups={groups} expects {group_channels * groups}"
        )
    if bias is not None and bias.shape != (num_filters,):
        raise RuntimeError(f"conv2d: {num_filters} filters need a bias of shape ({num_filters},), "
                           f"got {tuple(bias.shape)}")  # fmt: skip


def _named_padding(
    padding: str, input: Tensor, weight: Tensor, stride: Pair, dilation: Pair
) -> tuple[Tensor, Pair]:
    """The input and the symmetric padding that ``"valid"`` and ``"same"`` stand for."""
    if padding == "valid":
        return input, (0, 0)
    if padding != "same":
        raise ValueError(f"padding must be an int, a pair, 'valid' or 'same', got {padding!r}")
    if stride != (1, 1):
        raise RuntimeError(f"padding='same' needs stride 1, got stride={stride}")
    total_h, total_w = (D * (K - 1) for K, D in zip(weight.shape[2:], dilation, strict=True))
    if total_h % 2 or total_w % 2:
        input = F.pad(input, (0, total_w % 2, 0, total_h % 2))
    return input, (total_h // 2, total_w // 2)
