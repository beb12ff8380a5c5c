r"""Max-pooling over windows anywhere: they overlap, leave gaps, or reach over the border.

With S the stride, P the padding and D the dilation, pairs all, a window's place (i, j) is this element,
and one outside of the image is −∞::

    x[n, c; u, v; i, j] = x[n, c, S·u + D·i − P, S·v + D·j − P],   i, j = 0 … K − 1

Forward::

    z[n,c,u,v] = max_i max_j x[n, c; u, v; i, j]

Backward, a sum over the windows, since an element may be the maximum of several::

    x̄[n,c,k,l] = Σ z̄[n,c,u,v] over u, v, i, j with S·u + D·i − P = k and S·v + D·j − P = l,
                 where the place (i, j) of the window (u, v) receives

What receives is as in `ansnet.functional.pooling`: every element that equals the maximum
(``ties="all"``), or one of them, the first (``"first"``; of NaN the last). Padding never does: what it
would receive is cut off with it (``"all"``), or a window of nothing but −∞ begins with its first
element in the image (``"first"``). The tangent is the backward's transpose::

    ż[n,c,u,v] = Σ_i Σ_j ẋ[n, c; u, v; i, j] over the places that receive z̄;   ẋ is 0 outside the image

Shapes (M, K, Q, S, P, D are pairs, height and width)::

    x  N × C × M × M
    z  N × C × Q × Q,   Q = ⌊(M + 2P − D(K − 1) − 1) / S⌋ + 1

With ``ceil_mode`` it is rounded up, as long as the last window then begins in the image or in the
padding before it: Q is one less if (Q − 1)·S ≥ M + P.

The place (i, j) of all windows at once is a view of the padded image, every S-th row and column from
D·i and D·j on. Each formula goes through these K² views, and so does x̄, which is added up in them.

Source: PyTorch, the documentation of ``torch.nn.MaxPool2d``; as formulas, ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import product
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional.arguments import (
    as_dtype,
    at_least_float32,
    in_memory_format,
    is_channels_last,
    smallest_int,
)
from ansnet.functional.function import compilable
from ansnet.functional.kernel import if_short, kernel

Pair = tuple[int, int]


class Windows(NamedTuple):
    """Where the windows lie: K, S, P, D, and whether Q is rounded up."""

    size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    ceil_mode: bool


class OverlappingMaxPool2d(torch.autograd.Function):
    """z = max over each window, all ties; the module's docstring has the formulas.

    ``OverlappingMaxPool2d.apply(x, windows)``, windows as `Windows` has them.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, windows: Windows) -> Tensor:
        return maxima(x, windows)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, ctx.windows = inputs
        ctx.save_for_backward(x, output)
        ctx.save_for_forward(x, output)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        x, z = ctx.saved_tensors
        values = elements(x, ctx.windows)
        received = (torch.where(is_maximum(value, z), grad_z, 0) for value in values)
        return sum_in_image(received, x.shape[-2:], ctx.windows, is_channels_last(x)), None

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor, _: None) -> Tensor:
        x, z = ctx.saved_tensors
        pairs = zip(elements(x, ctx.windows), elements(tangent_x, ctx.windows, 0.0), strict=True)
        return reduce(
            torch.add, (torch.where(is_maximum(value, z), tangent, 0) for value, tangent in pairs)
        )


class FirstOverlappingMaxPool2d(torch.autograd.Function):
    """z, p = max over each window and its place, the first of ties; p = K·i + j, or K² for none.

    ``FirstOverlappingMaxPool2d.apply(x, windows)``, windows as `Windows` has them.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, windows: Windows) -> tuple[Tensor, Tensor]:
        return first_maxima(x, windows)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        x, ctx.windows = inputs
        _, place = output
        ctx.image_size, ctx.channels_last = tuple(x.shape[-2:]), is_channels_last(x)
        ctx.mark_non_differentiable(place)
        ctx.save_for_backward(place)
        ctx.save_for_forward(place)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor, _: Tensor) -> tuple[Tensor, None]:
        (place,) = ctx.saved_tensors
        numbers = range(number_of_places(ctx.windows))
        received = (torch.where(place == number, grad_z, 0) for number in numbers)
        return sum_in_image(received, ctx.image_size, ctx.windows, ctx.channels_last), None

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor, _: None) -> tuple[Tensor, None]:
        (place,) = ctx.saved_tensors
        tangents = enumerate(elements(tangent_x, ctx.windows, 0.0))
        return reduce(torch.add, (torch.where(place == n, t, 0) for n, t in tangents)), None


apply_overlapping_max_pool2d = compilable(OverlappingMaxPool2d)
apply_first_overlapping_max_pool2d = compilable(FirstOverlappingMaxPool2d)


def is_maximum(x: Tensor, z: Tensor) -> Tensor:
    """Whether an element equals its window's maximum, as each NaN does in a window that holds one."""
    return (x == z) | (x != x)


def maxima(x: Tensor, windows: Windows) -> Tensor:
    image, size = padded(x, windows), output_size(x.shape[-2:], windows)
    z = if_short(maxima_of, number_of_places(windows))(image, windows, size)
    return z.clone() if number_of_places(windows) == 1 else z  # never a view of x


@kernel
def maxima_of(image: Tensor, windows: Windows, size: Pair) -> Tensor:
    return reduce(torch.maximum, places(image, windows, size))


def first_maxima(x: Tensor, windows: Windows) -> tuple[Tensor, Tensor]:
    """The maxima z and their places p."""
    image, size = padded(x, windows), output_size(x.shape[-2:], windows)
    function = if_short(first_maxima_of, number_of_places(windows))
    return function(image, first_in_image(x, windows), windows, size)


@kernel
def first_maxima_of(
    image: Tensor, start: Tensor, windows: Windows, size: Pair
) -> tuple[Tensor, Tensor]:
    """The places begin with the first ones in the image. A larger number takes over, and each NaN.

    Places are counted in float32, since generated code compares numbers of one width best.
    """
    first, *others = places(image, windows, size)
    z, place = first, start.expand_as(first)
    for number, value in enumerate(others, start=1):
        larger = (value > z) | (value != value)
        z, place = torch.maximum(z, value), torch.where(larger, number, place)
    return z.clone(), place.to(smallest_int(number_of_places(windows)))


def first_in_image(x: Tensor, windows: Windows) -> Tensor:
    """The first place of each window, Q × Q, that is not in the padding; K² where all are."""
    (_, K_w), count = windows.size, number_of_places(windows)
    sizes = enumerate(output_size(x.shape[-2:], windows))
    rows, columns = (first_on_axis(x, axis, size, windows) for axis, size in sizes)
    outside = (rows < 0)[:, None] | (columns < 0)
    return torch.where(outside, count, K_w * rows[:, None] + columns).float()


def first_on_axis(x: Tensor, axis: int, size: int, windows: Windows) -> Tensor:
    """The least i, of each of the Q windows on an axis, with 0 ≤ S·u + D·i − P < M; −1 if none has."""
    M, (K, S, P, D) = x.shape[axis - 2], (pair[axis] for pair in windows[:4])
    start = S * torch.arange(size, device=x.device) - P
    i = ((D - 1 - start) // D).clamp(min=0)
    return torch.where((i < K) & (start + D * i < M), i, -1)


def output_size(image_size: Sequence[int], windows: Windows) -> Pair:
    """Q, height and width."""
    axes = zip(image_size, *windows[:4], strict=True)
    Q_h, Q_w = (number_of_windows(*axis, windows.ceil_mode) for axis in axes)
    return Q_h, Q_w


def number_of_windows(M: int, K: int, S: int, P: int, D: int, ceil_mode: bool) -> int:
    """Q of one axis."""
    Q = (M + 2 * P - D * (K - 1) - 1 + (S - 1 if ceil_mode else 0)) // S + 1
    return Q - 1 if ceil_mode and (Q - 1) * S >= M + P else Q


def number_of_places(windows: Windows) -> int:
    """K², if the window is square."""
    K_h, K_w = windows.size
    return K_h * K_w


def elements(x: Tensor, windows: Windows, outside: float | None = None) -> list[Tensor]:
    """The elements at each place, … × Q × Q; outside of the image they are −∞, or what is given."""
    return places(padded(x, windows, outside), windows, output_size(x.shape[-2:], windows))


def padded(x: Tensor, windows: Windows, outside: float | None = None) -> Tensor:
    """The image with all that its windows reach, −∞ or what is given."""
    around = margins(x.shape[-2:], windows)
    if not any(around):
        return x
    if outside is None:
        outside = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    return F.pad(x, around, value=outside)


def margins(image_size: Sequence[int], windows: Windows) -> list[int]:
    """How many columns the windows reach over the left and the right, and rows over and below."""
    (P_h, P_w), (M_h, M_w) = windows.padding, image_size
    height, width = (
        (Q - 1) * S + D * (K - 1) + 1
        for Q, K, S, _, D in zip(output_size(image_size, windows), *windows[:4], strict=True)
    )
    return [P_w, max(0, width - M_w - P_w), P_h, max(0, height - M_h - P_h)]


def places(image: Tensor, windows: Windows, size: Pair) -> list[Tensor]:
    """The places (0, 0), (0, 1), … of all windows in the padded image, each a view, … × Q × Q."""
    return [image[index] for index in indices(windows, size)]


def indices(windows: Windows, size: Pair) -> list[Any]:
    """The index of each place of all windows."""
    (K_h, K_w), (S_h, S_w), _, (D_h, D_w), _ = windows
    rows, columns = (S_h * (size[0] - 1) + 1, S_w * (size[1] - 1) + 1)
    return [
        (..., slice(D_h * i, D_h * i + rows, S_h), slice(D_w * j, D_w * j + columns, S_w))
        for i, j in product(range(K_h), range(K_w))
    ]


def sum_in_image(
    received: Iterable[Tensor], image_size: Sequence[int], windows: Windows, channels_last: bool
) -> Tensor:
    """Add what each place receives to the element that is there, and cut off the padding.

    The sums are in float32 at least, and rounded at the end.
    """
    left, right, above, below = margins(image_size, windows)
    M_h, M_w = image_size
    first, *others = received
    size = first.shape[-2], first.shape[-1]
    grad_x = first.new_zeros(*first.shape[:-2], above + M_h + below, left + M_w + right)
    grad_x = in_memory_format(at_least_float32(grad_x), channels_last)
    for index, values in zip(indices(windows, size), [first, *others], strict=True):
        grad_x[index].add_(values)
    if left or right or above or below:
        grad_x = grad_x[..., above : above + M_h, left : left + M_w]
    return in_memory_format(as_dtype(grad_x, first.dtype), channels_last)
