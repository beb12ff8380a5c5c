r"""Max-pooling over windows that lie side by side.

Forward::

    z[n,c,u,v] = max_i max_j x[n, c, K·u + i, K·v + j],   i, j = 0 … K − 1

Backward (``ties="all"``, the notebook's)::

    x̄[n,c,k,l] = z̄[n,c,u,v] where x[n,c,k,l] = z[n,c,u,v], else 0;   u = ⌊k/K⌋, v = ⌊l/K⌋

so that *every* element that equals its window's maximum receives the gradient. PyTorch gives it to
one, the first in reading order: ``ties="first"``. Both are subgradient choices; they differ only
where elements tie. (A window that holds a NaN has it for its maximum. By the first rule each
NaN of it receives, by the second the last one, as in PyTorch.) The tangent is the backward's
transpose::

    ż[n,c,u,v] = Σ_i Σ_j ẋ[n, c, K·u + i, K·v + j] over the elements that receive z̄

Shapes (M, K, Q are pairs, height and width)::

    x  N × C × M × M
    z  N × C × Q × Q,   Q = ⌊M / K⌋

Rows and columns beyond Q·K are ignored, and their gradient is 0. The windows are a view of the
image, in which a row index k becomes the pair (u, i) and a column index l the pair (v, j):
``N × C × Q × K × Q × K``.

``ties="first"`` has a Function of its own, `FirstMaxPool2d`, for it needs less: of x and z it keeps
nothing but p[n,c,u,v], the place of the receiving element in its window, K·i + j, a byte each.

Max-pooling and ReLU commute, since both are monotone. Pooled first, a ReLU has K² times less to do, and
then it is but one more element of each window, a constant 0 that wins unless another is larger::

    z[n,c,u,v] = max(0, max_i max_j x[n, c, K·u + i, K·v + j])

If the 0 wins, none receives z̄: p = K². That is `relu_max_pool2d`.

Windows that overlap, leave gaps or reach over the border have formulas of their own,
`ansnet.functional.overlapping_pooling`; `max_pool2d` takes these here where they hold.

Source: the notebook, "Max-pooling".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional.arguments import (
    Size2,
    as_pair,
    in_memory_format,
    in_order,
    is_channels_last,
    smallest_int,
)
from ansnet.functional.function import calls_for_operator, compilable, is_inference
from ansnet.functional.kernel import if_short, kernel
from ansnet.functional.left_out import refuse, refuse_layouts
from ansnet.functional.overlapping_pooling import (
    Windows,
    apply_first_overlapping_max_pool2d,
    apply_overlapping_max_pool2d,
    is_maximum,
    output_size,
)

Pair = tuple[int, int]
Ties = Literal["all", "first"]


class MaxPool2d(torch.autograd.Function):
    """z = max over each window, all ties; the module's docstring has the formulas.

    ``MaxPool2d.apply(x, window_size)``, ``window_size`` a pair.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, window_size: Pair) -> Tensor:
        return if_short(maxima, prod(window_size))(in_order(x), window_size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, ctx.window_size = inputs
        ctx.save_for_backward(x, output)
        ctx.save_for_forward(x, output)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        x, z = ctx.saved_tensors
        return to_all_maxima(grad_z, x, z, ctx.window_size), None

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor, _: None) -> Tensor:
        x, z = ctx.saved_tensors
        receives = is_maximum(windows_of(x, ctx.window_size), z[..., :, None, :, None])
        return torch.where(receives, windows_of(tangent_x, ctx.window_size), 0).sum((-1, -3))


class FirstMaxPool2d(torch.autograd.Function):
    """z, p = max over each window and its place, the first of ties; formulas as above.

    ``FirstMaxPool2d.apply(x, window_size, rectified)``; rectified adds the constant 0 to each window.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, window_size: Pair, rectified: bool) -> tuple[Tensor, Tensor]:
        return if_short(first_maxima, prod(window_size))(in_order(x), window_size, rectified)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        x, ctx.window_size, _ = inputs
        _, place = output
        ctx.image_size, ctx.channels_last = tuple(x.shape[-2:]), is_channels_last(x)
        ctx.mark_non_differentiable(place)
        ctx.save_for_backward(place)
        ctx.save_for_forward(place)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        (place,) = ctx.saved_tensors
        grad_x = to_place(grad_z, place, ctx.window_size, ctx.image_size, ctx.channels_last)
        return grad_x, None, None

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor, *_: None) -> tuple[Tensor, None]:
        (place,) = ctx.saved_tensors
        return at_place(tangent_x, place, ctx.window_size), None


apply_max_pool2d = compilable(MaxPool2d)
apply_first_max_pool2d = compilable(FirstMaxPool2d)


@kernel
def maxima(x: Tensor, window_size: Pair) -> Tensor:
    rows = reduce(torch.maximum, windows_of(x, window_size).unbind(-1))
    z = reduce(torch.maximum, rows.unbind(-2))
    return z if window_size != (1, 1) else z.clone()  # never a view of x


@kernel
def to_all_maxima(grad_z: Tensor, x: Tensor, z: Tensor, window_size: Pair) -> Tensor:
    """Give z̄ to the elements of x that equal their window's maximum, and 0 to the others."""
    receives = is_maximum(windows_of(x, window_size), z[..., :, None, :, None])
    grad_windows = torch.where(receives, grad_z[..., :, None, :, None], 0)
    return image_of(grad_windows, (x.shape[-2], x.shape[-1]))


@kernel
def first_maxima(x: Tensor, window_size: Pair, rectified: bool) -> tuple[Tensor, Tensor]:
    """The maxima z and their places p: of each row of a window first, then of its rows."""
    K_h, K_w = window_size
    values = windows_of(x, window_size)
    z, place = first_largest(values.unbind(-1), range(K_w))
    z, place = first_largest(z.unbind(-2), [K_w * i + p for i, p in enumerate(place.unbind(-2))])
    if rectified:
        place = torch.where(z <= 0, K_h * K_w, place)
        z = z.clamp(min=0)
    return z.clone(), place.to(smallest_int(K_h * K_w))


def first_largest(values: Sequence[Tensor], places: Sequence[float | Tensor]) -> tuple[Tensor, Tensor]:
    """The largest value and its place. Not a number is larger than any, and the last of them largest.

    Places are counted in float32, since generated code compares numbers of one width best; and
    `torch.isnan` it asks of one number after the other.
    """
    z, place = values[0], torch.zeros_like(values[0], dtype=torch.float32) + places[0]
    for value, its_place in zip(values[1:], places[1:], strict=True):
        larger = (value > z) | (value != value)
        z, place = torch.maximum(z, value), torch.where(larger, its_place, place)
    return z, place


@kernel
def to_place(
    grad_z: Tensor, place: Tensor, window_size: Pair, image_size: Pair, channels_last: bool
) -> Tensor:
    """Give z̄ to the element at place p of each window, and 0 to the others.

    Both ways to write it are the same. Generated code is quick with the second where the columns of an
    image are neighbours in memory, and with the first where its channels are.
    """
    K_h, K_w = window_size
    if channels_last or K_h * K_w > 16:
        receives = places_of(grad_z, window_size) == place[..., :, None, :, None]
        grad_windows = torch.where(receives, grad_z[..., :, None, :, None], 0)
    else:
        each = [torch.where(place == number, grad_z, 0) for number in range(K_h * K_w)]
        rows = [torch.stack(each[K_w * i : K_w * (i + 1)], -1) for i in range(K_h)]
        grad_windows = torch.stack(rows, -3)
    grad_x = image_of(grad_windows, image_size)
    return in_memory_format(grad_x, channels_last)


def at_place(x: Tensor, place: Tensor, window_size: Pair) -> Tensor:
    """Of each window the element at place p, or 0 where there is none."""
    receives = places_of(x, window_size) == place[..., :, None, :, None]
    return torch.where(receives, windows_of(x, window_size), 0).sum((-1, -3))


def places_of(like: Tensor, window_size: Pair) -> Tensor:
    """The places in a window, K × 1 × K."""
    K_h, K_w = window_size
    return torch.arange(K_h * K_w, device=like.device, dtype=torch.float32).view(K_h, 1, K_w)


def windows_of(x: Tensor, window_size: tuple[int, int]) -> Tensor:
    """View … × M × M as … × Q × K × Q × K, without the left-over rows and columns."""
    (K_h, K_w), (M_h, M_w) = window_size, x.shape[-2:]
    Q_h, Q_w = M_h // K_h, M_w // K_w
    covered = x[..., : Q_h * K_h, : Q_w * K_w]
    return covered.reshape(*x.shape[:-2], Q_h, K_h, Q_w, K_w)


def image_of(windows: Tensor, image_size: Pair) -> Tensor:
    """Undo `windows_of`; the left-over rows and columns are 0."""
    Q_h, K_h, Q_w, K_w = windows.shape[-4:]
    return bordered(windows.reshape(*windows.shape[:-4], Q_h * K_h, Q_w * K_w), image_size)


def bordered(image: Tensor, image_size: Pair) -> Tensor:
    """Add the left-over rows and columns, which are 0."""
    (M_h, M_w), (covered_h, covered_w) = image_size, image.shape[-2:]
    if (M_h, M_w) == (covered_h, covered_w):
        return image
    return F.pad(image, (0, M_w - covered_w, 0, M_h - covered_h))


def max_pool2d(
    input: Tensor,
    window_size: Size2,
    stride: Size2 | None = None,
    padding: Size2 = 0,
    dilation: Size2 = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    ties: Ties = "all",
) -> Tensor:
    """Maximum over each K × K window; as ``torch.nn.functional.max_pool2d``.

    Args:
        input: images, N × C × H × W, or one image, C × H × W.
        window_size: K, or (height, width); PyTorch's ``kernel_size``.
        stride: rows and columns from window to window; None is the window's size.
        padding: rows and columns of −∞ on each side, at most half a window; none receives a gradient.
        dilation: distance between neighbouring elements of the window.
        ceil_mode: have a last window that reaches over the border, if it begins before it.
        return_indices: left out, see ``docs/complete.md``.
        ties: which elements of a window that equal its maximum receive the gradient: ``"all"``,
            or the ``"first"`` in reading order, as PyTorch does.

    Returns:
        N × C × Q × Q (or without N) with Q = ⌊(H + 2P − D(K − 1) − 1) / S⌋ + 1, rounded up instead with
        ``ceil_mode``; in the memory format of the input. Side by side, that is ⌊H/K⌋.

    Raises:
        RuntimeError: the input is neither 3-D nor 4-D, smaller than one window, or without channels;
            or Boolean or complex; or a hyperparameter is out of its range.
        TypeError: a hyperparameter is not an int or a pair of ints, or ``ceil_mode`` not a bool.
        ValueError: ``ties`` is neither ``"all"`` nor ``"first"``.

    Example:
        >>> x = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]])
        >>> max_pool2d(x, 2)
        tensor([[[8., 6.]]])
        >>> max_pool2d(x, 2, stride=1)
        tensor([[[8., 7., 6.]]])
    """
    z: Tensor
    refuse("max_pool2d", return_indices=return_indices)
    if ties not in get_args(Ties):
        raise ValueError(f"ties must be 'all' or 'first', got {ties!r}")
    if calls_for_operator(input, same_gradient=ties == "first"):
        settings: Any = window_size, stride, padding, dilation, ceil_mode
        z = F.max_pool2d(input, *settings)
        return z
    windows = checked_windows(window_size, stride, padding, dilation, ceil_mode)
    if are_side_by_side(windows):
        checked_window("max_pool2d", input, windows.size)
        if ties == "all" or is_inference((input,)):  # the same values, without their places
            z = apply_max_pool2d(input, windows.size)
        else:
            z, _ = apply_first_max_pool2d(input, windows.size, False)
    else:
        checked_images("max_pool2d", input)
        check_windows_fit(input, windows)
        if ties == "all":
            z = apply_overlapping_max_pool2d(input, windows)
        else:
            z, _ = apply_first_overlapping_max_pool2d(input, windows)
    return z


def are_side_by_side(windows: Windows) -> bool:
    """Whether this file's formulas hold: no gaps, nothing twice, and nothing but the image."""
    return windows == Windows(windows.size, windows.size, (0, 0), (1, 1), False)


def relu_max_pool2d(input: Tensor, window_size: Size2) -> Tensor:
    """``max_pool2d(relu(input), window_size, ties="first")`` as one, keeping a byte for each maximum.

    Args:
        input, window_size: as `max_pool2d`.

    Returns:
        As `max_pool2d`, without negative elements.

    Raises:
        RuntimeError, TypeError: as `max_pool2d`.

    Example:
        >>> relu_max_pool2d(torch.tensor([[[1.0, 2.0, -3.0, -4.0], [8.0, 7.0, -6.0, -5.0]]]), 2)
        tensor([[[8., 0.]]])
    """
    z: Tensor
    if calls_for_operator(input):
        size: Any = window_size
        z = F.max_pool2d(F.relu(input), size)
        return z
    window = checked_window("relu_max_pool2d", input, window_size)
    z, _ = apply_first_max_pool2d(input, window, True)
    return z


def checked_window(name: str, input: Tensor, window_size: Size2) -> Pair:
    """The window as a pair, once it is known that the function of that name can use it."""
    window = as_pair("window_size", window_size, 1)
    checked_images(name, input)
    if input.shape[-2] < window[0] or input.shape[-1] < window[1]:
        raise RuntimeError(
            f"{name}: the window, {window[0]} x {window[1]}, is larger than the image, "
            f"{input.shape[-2]} x {input.shape[-1]}"
        )
    return window


def checked_images(name: str, input: Tensor) -> None:
    """Let images pass that can be pooled.

    Raises:
        RuntimeError: the dtype has no order, or the shape is none of images.
    """
    refuse_layouts(name, input)
    if input.dtype == torch.bool or input.is_complex():
        raise RuntimeError(f"{name} is not defined for {input.dtype}")
    if input.dim() not in (3, 4) or 0 in input.shape[-3:]:
        raise RuntimeError(
            f"{name} expects shape (N, C, H, W) or (C, H, W), in which N alone may be 0, "
            f"got {tuple(input.shape)}"
        )


def checked_windows(
    window_size: Size2, stride: Size2 | None, padding: Size2, dilation: Size2, ceil_mode: bool
) -> Windows:
    """The hyperparameters as pairs.

    Raises:
        RuntimeError: one is out of its range, or the padding more than half a window.
        TypeError: one is of another type.
    """
    size = as_pair("window_size", window_size, 1)
    strides = size if stride is None or stride in ((), []) else as_pair("stride", stride, 1)
    paddings, dilations = as_pair("padding", padding, 0), as_pair("dilation", dilation, 1)
    if not isinstance(ceil_mode, bool):
        raise TypeError(f"ceil_mode must be a bool, got {ceil_mode!r}")
    if 2 * paddings[0] > size[0] or 2 * paddings[1] > size[1]:
        raise RuntimeError(
            f"padding must be at most half of the window, got padding={padding!r} and "
            f"window_size={window_size!r}"
        )
    return Windows(size, strides, paddings, dilations, ceil_mode)


def check_windows_fit(input: Tensor, windows: Windows) -> None:
    """Let images pass that have room for a window.

    Raises:
        RuntimeError: they have not.
    """
    if min(output_size(input.shape[-2:], windows)) < 1:
        spans = [D * (K - 1) + 1 for K, D in zip(windows.size, windows.dilation, strict=True)]
        padded = [M + 2 * P for M, P in zip(input.shape[-2:], windows.padding, strict=True)]
        raise RuntimeError(
            f"max_pool2d: the dilated window is {spans[0]} x {spans[1]}, larger than the padded image, "
            f"{padded[0]} x {padded[1]}"
        )
