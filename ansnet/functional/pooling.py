r"""Max-pooling over windows that lie side by side.

Forward::

    z[n,c,u,v] = max_i max_j x[n, c, K·u + i, K·v + j],   i, j = 0 … K − 1

Backward (``ties="all"``, the notebook's)::

    x̄[n,c,k,l] = z̄[n,c,u,v] where x[n,c,k,l] = z[n,c,u,v], else 0;   u = ⌊k/K⌋, v = ⌊l/K⌋

so that *every* element that equals its window's maximum receives the gradient. PyTorch gives it to
one, the first in reading order: ``ties="first"``. Both are subgradient choices; they differ only
where elements tie. (A window that holds a NaN has it for its maximum, and by both rules all its
elements tie.) The tangent is the backward's transpose::

    ż[n,c,u,v] = Σ_i Σ_j ẋ[n, c, K·u + i, K·v + j] over the elements that receive z̄

Shapes (M, K, Q are pairs, height and width)::

    x  N × C × M × M
    z  N × C × Q × Q,   Q = ⌊M / K⌋

Rows and columns beyond Q·K are ignored, and their gradient is 0. The windows are a view of the
image, in which a row index k becomes the pair (u, i) and a column index l the pair (v, j):
``N × C × Q × K × Q × K``.

Source: the notebook, "Max-pooling".
"""

from __future__ import annotations

from functools import reduce
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional.arguments import Size2, as_pair
from ansnet.functional.function import compilable

Ties = Literal["all", "first"]


class MaxPool2d(torch.autograd.Function):
    """z = max over each window; the module's docstring has the formulas.

    ``MaxPool2d.apply(x, window_size, ties)``, ``window_size`` a pair.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, window_size: tuple[int, int], ties: Ties) -> Tensor:
        rows = reduce(torch.maximum, windows_of(x, window_size).unbind(-1))
        z = reduce(torch.maximum, rows.unbind(-2))
        return z if window_size != (1, 1) else z.clone()  # never a view of x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, ctx.window_size, ctx.ties = inputs
        ctx.save_for_backward(x, output)
        ctx.save_for_forward(x, output)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None, None]:
        x, z = ctx.saved_tensors
        receives = receiving(windows_of(x, ctx.window_size), z, ctx.ties)
        grad_windows = torch.where(receives, grad_z[..., :, None, :, None], 0)
        return image_of(grad_windows, x.shape), None, None

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor, *_: None) -> Tensor:
        x, z = ctx.saved_tensors
        receives = receiving(windows_of(x, ctx.window_size), z, ctx.ties)
        return torch.where(receives, windows_of(tangent_x, ctx.window_size), 0).sum((-1, -3))


apply_max_pool2d = compilable(MaxPool2d)


def receiving(windows: Tensor, z: Tensor, ties: Ties) -> Tensor:
    """True at the elements of the windows, … × Q × K × Q × K, that receive z̄."""
    maxima = ~(windows < z[..., :, None, :, None])
    return maxima if ties == "all" else first_of(maxima)


def first_of(maxima: Tensor) -> Tensor:
    """True at the first of each window's maxima in reading order.

    The elements of a window are numbered in reading order; of the maxima's numbers the least remains.
    """
    K_h, _, K_w = maxima.shape[-3:]
    number = torch.arange(K_h * K_w, device=maxima.device, dtype=smallest_int(K_h * K_w))
    candidates = torch.where(maxima, number.reshape(K_h, 1, K_w), K_h * K_w)
    rows = reduce(torch.minimum, candidates.unbind(-1))
    first = reduce(torch.minimum, rows.unbind(-2))
    return candidates == first[..., :, None, :, None]


def smallest_int(largest: int) -> torch.dtype:
    """The narrowest integer that holds a number, for the sake of the memory that it crosses."""
    return torch.uint8 if largest <= torch.iinfo(torch.uint8).max else torch.int64


def windows_of(x: Tensor, window_size: tuple[int, int]) -> Tensor:
    """View … × M × M as … × Q × K × Q × K, without the left-over rows and columns."""
    (K_h, K_w), (M_h, M_w) = window_size, x.shape[-2:]
    Q_h, Q_w = M_h // K_h, M_w // K_w
    covered = x[..., : Q_h * K_h, : Q_w * K_w]
    return covered.reshape(*x.shape[:-2], Q_h, K_h, Q_w, K_w)


def image_of(windows: Tensor, image_size: torch.Size) -> Tensor:
    """Undo `windows_of`; the left-over rows and columns are 0."""
    Q_h, K_h, Q_w, K_w = windows.shape[-4:]
    image = windows.reshape(*windows.shape[:-4], Q_h * K_h, Q_w * K_w)
    left_over = [M - covered for M, covered in zip(image_size[-2:], image.shape[-2:], strict=True)]
    return F.pad(image, (0, left_over[1], 0, left_over[0])) if any(left_over) else image


def max_pool2d(input: Tensor, window_size: Size2, ties: Ties = "all") -> Tensor:
    """Maximum over each K × K window; as ``torch.nn.functional.max_pool2d(input, kernel_size)``.

    Args:
        input: images, N × C × H × W, or one image, C × H × W.
        window_size: K, or (height, width); also the step.
        ties: which elements of a window that equal its maximum receive the gradient: ``"all"``,
            or the ``"first"`` in reading order, as PyTorch does.

    Returns:
        N × C × ⌊H/K⌋ × ⌊W/K⌋ (or without N), in the memory format of the input.

    Raises:
        RuntimeError: the input is neither 3-D nor 4-D, smaller than one window, or without channels;
            or Boolean or complex.
        TypeError: ``window_size`` is not an int or a pair of ints.
        ValueError: ``ties`` is neither ``"all"`` nor ``"first"``.

    Example:
        >>> max_pool2d(torch.tensor([[[1.0, 2.0, 3.0, 4.0], [8.0, 7.0, 6.0, 5.0]]]), 2)
        tensor([[[8., 6.]]])
    """
    if ties not in get_args(Ties):
        raise ValueError(f"ties must be 'all' or 'first', got {ties!r}")
    window = as_pair("window_size", window_size, 1)
    if input.dtype == torch.bool or input.is_complex():
        raise RuntimeError(f"max_pool2d is not defined for {input.dtype}")
    if input.dim() not in (3, 4) or 0 in input.shape[-3:]:
        raise RuntimeError(
            "max_pool2d expects shape (N, C, H, W) or (C, H, W), in which N alone may be 0, "
            f"got {tuple(input.shape)}"
        )
    if input.shape[-2] < window[0] or input.shape[-1] < window[1]:
        raise RuntimeError(
            f"max_pool2d: the window, {window[0]} x {window[1]}, is larger than the image, "
            f"{input.shape[-2]} x {input.shape[-1]}"
        )
    z: Tensor = apply_max_pool2d(input, window, ties)
    return z
