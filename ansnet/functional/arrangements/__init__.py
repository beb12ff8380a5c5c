"""The sums of `ansnet.functional.conv` in other orders: the same numbers, sooner.

``conv2d`` and ``conv_transpose2d`` compute the formulas as they are written, whatever derivative or
transformation may follow. Where nothing but numbers is asked for (`only_numbers`), the same sums may be
taken in another order. Each arrangement is a module here. It says why it equals the formula, and a
function of it, ``suits…``, says for which shapes it was the quicker one when it was measured
(``benchmarks/shapes.py``). The functions here ask them in turn; where none suits, ``conv.py``
computes the formula.

==============  =======================================  ===============================================
module          of                                       where
==============  =======================================  ===============================================
`winograd`      z, x̄, w̄: fewer multiplications           3 × 3 windows, many channels, float32 and 64
`side_by_side`  z, x̄, w̄: all images as one wide image    small images; w̄ in half precision
`grouped`       x̄, w̄: each group, or channel, by itself  groups, above all of one channel (depthwise)
`patches`       w̄: a product with windows' contents      few channels; steps and gaps; windows apart;
                                                         on a GPU
==============  =======================================  ===============================================

``with plain_sums():`` does without all but `patches`, which rounds as PyTorch's kernels do.
"""

from __future__ import annotations

from torch import Tensor

from ansnet.functional.arrangements import grouped, patches, side_by_side, winograd
from ansnet.functional.function import only_numbers

Pair = tuple[int, int]


def convolution(
    x: Tensor,
    w: Tensor,
    b: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Tensor | None:
    """The convolution z, by the first arrangement that suits it; None if none does."""
    if not may_be_rearranged(x, w) or (b is not None and b.dtype != x.dtype):  # PyTorch's error
        return None
    if winograd.suits(x, w, len(w), stride, dilation, groups):
        return if_finite(winograd.convolve(x, w, b, padding))
    if side_by_side.suits(x, w, stride):
        return side_by_side.convolve(x, w, b, padding, dilation, groups)
    return None


def input_gradient(
    grad_z: Tensor, w: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Tensor | None:
    """The input gradient x̄, likewise."""
    if not may_be_rearranged(grad_z, w):
        return None
    if winograd.suits(grad_z, w, w.shape[1], stride, dilation, groups):
        return if_finite(winograd.input_gradient(grad_z, w, padding))
    if side_by_side.suits(grad_z, w, stride):
        return side_by_side.input_gradient(grad_z, w, padding, dilation, groups)
    if grouped.suits_input_gradient(w, stride, padding, dilation, groups):
        return grouped.input_gradient(grad_z, w, padding, dilation, groups)
    return None


def weight_gradient(
    x: Tensor,
    grad_z: Tensor,
    window_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    plain: bool,
) -> Tensor | None:
    """The weight gradient w̄, likewise; ``plain``: of those that round as PyTorch's kernels do.

    Most multiply z̄ by the zeros of the border too, which the formula has outside of x; were a z̄ there
    not finite, w̄ would not be a number. Then the formula is to answer.
    """
    geometry = window_size, stride, padding, dilation
    numbers = may_be_rearranged(x, grad_z)
    apart = patches.stand_apart(window_size, stride, dilation)
    if numbers and not plain:
        if winograd.suits_weight_gradient(x, grad_z, window_size, stride, dilation, groups):
            return if_finite(winograd.weight_gradient(x, grad_z, padding))
        if side_by_side.suits_weight_gradient(x, grad_z, stride, dilation, groups):
            return side_by_side.weight_gradient(x, grad_z, padding)
        if grouped.suits_weight_gradient(x, grad_z, window_size, groups):
            return if_finite(grouped.weight_gradient(x, grad_z, *geometry))
    if groups == 1 and (x.device.type == "cuda" or apart):
        grad_w = patches.weight_gradient_of_rows(x, grad_z, *geometry)
        return if_finite(grad_w) if numbers and max(padding) else grad_w
    if numbers and patches.suits(x, grad_z, stride, dilation, groups):
        return if_finite(patches.weight_gradient(x, grad_z, *geometry, groups))
    return None


def if_finite(result: Tensor) -> Tensor | None:
    """The result, if it is to be believed: in Winograd's tiles an infinite number reaches all others.

    Nor is it where finite numbers are so large that its transforms, or this sum, overflow.
    """
    return result if bool(result.sum().isfinite()) else None


def may_be_rearranged(first: Tensor, second: Tensor) -> bool:
    """Whether only numbers are asked for, of one dtype, on a CPU."""
    alike = first.dtype == second.dtype and first.device.type == "cpu"
    return alike and only_numbers(first, second)
