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
sums are taken in another order, whichever was the quickest of those measured:
`ansnet.functional.arrangements`. ``with plain_sums():`` does without those that round otherwise.

Source: the notebook, "Dvourozměrná konvoluce jako diferencovatelná funkce". For the arithmetic of
the sizes: Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* (2016), eq. 14.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional import arrangements
from ansnet.functional.arguments import (
    Size2,
    as_dtype,
    as_pair,
    at_least_float32,
    cast_for_autocast,
    in_memory_format,
    is_channels_last,
)
from ansnet.functional.arrangements.patches import weight_gradient_of_rows
from ansnet.functional.arrangements.plain import allowed
from ansnet.functional.function import (
    as_new,
    calls_for_operator,
    compilable,
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
        return as_new(convolution(x, w, b, stride, padding, dilation, groups, plain=not allowed()))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, w, _, ctx.stride, ctx.padding, ctx.dilation, ctx.groups = inputs
        needs_grad_x, needs_grad_w, *_ = ctx.needs_input_grad
        ctx.image_size, ctx.window_size = x.shape[2:], w.shape[2:]
        ctx.plain, ctx.channels_last = not allowed(), is_channels_last(w)
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


def convolution(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    plain: bool = False,
) -> Tensor:
    """The convolution z = conv2(x, w, b; S, P, D)."""
    z = None if plain else arrangements.convolution(x, w, b, stride, padding, dilation, groups)
    if z is not None:
        return z
    return F.conv2d(x, w, b, stride, padding, dilation, groups)


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
    hyperparameters = stride, padding, dilation, groups
    grad_x = None if plain else arrangements.input_gradient(grad_z, w, *hyperparameters)
    if grad_x is not None:
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
    arranged = arrangements.weight_gradient(x, grad_z, *geometry, groups, plain)
    if arranged is not None:
        return arranged
    if groups > 1:  # for which that kernel is slow in other memory
        x, grad_z = x.contiguous(), grad_z.contiguous()
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
    return as_dtype(at_least_float32(grad_z).sum((2, 3)).sum(0), grad_z.dtype)


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
