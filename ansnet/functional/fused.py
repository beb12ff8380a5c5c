r"""Batch normalisation, ReLU and max-pooling of images in a row, as one operation.

Forward, with μ, v, r, x̂, y as in `ansnet.functional.normalization`::

    y = γ · x̂ + β
    z = max(0, y)                              without pooling
    z = max(0, maximum of y over each window)  with: `relu_max_pool2d`, which says where: p

Backward: ȳ is what ReLU, or pooling's p, makes of z̄, and x̄, γ̄, β̄ are batch normalisation's of ȳ::

    ȳ = z̄ where y > 0, else 0                  without pooling; y is computed again
    ȳ = z̄ at the window's place p, else 0      with

One after the other, the three write and read y twice, keep x, y and z for the backward, and write ȳ.
As one, x is read and z written, and the same backwards; y and ȳ are never in memory, and what is kept
is x and, a byte for each element of z, p. The formulas are those of `normalization`, `activation` and
`pooling`, put together here and made one code by `ansnet.functional.kernel`.

Shapes: x N × C × H × W; γ, β, μ, v C; z as x, or N × C × ⌊H/K⌋ × ⌊W/K⌋.

Source: Rota Bulò et al., *In-place activated BatchNorm* (2018), for the idea of keeping one tensor.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from ansnet.functional.activation import relu, where_positive
from ansnet.functional.arguments import Size2, in_memory_format, in_order, is_channels_last
from ansnet.functional.function import calls_for_operator, first_derivative_only, save, saved
from ansnet.functional.kernel import if_short, kernel
from ansnet.functional.normalization import (
    BatchNorm1d,
    affine,
    apply_batch_norm2d,
    asked_for,
    batch_norm2d,
    channels_behind,
    channels_in_front,
    checked_batch_norm,
    gradients_by_batch,
    normalised_by_batch,
)
from ansnet.functional.pooling import (
    Pair,
    checked_window,
    first_maxima,
    max_pool2d,
    relu_max_pool2d,
    to_place,
)


class BatchNormReLU2d(torch.autograd.Function):
    """z, μ, v, p = ReLU of batch normalisation, pooled or not; the formulas are in the docstring above.

    ``BatchNormReLU2d.apply(x, γ, β, eps, window_size)``, ``window_size`` a pair, or None for no
    pooling, and then None stands for p. For training and for reverse mode: in other cases
    `batch_norm_relu2d` takes the operations one by one.
    """

    @staticmethod
    def forward(
        x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float, window_size: Pair | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        function = if_short(normalise_and_pool, prod(window_size or (1, 1)))
        return function(in_order(x), gamma, beta, eps, window_size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        x, gamma, beta, ctx.eps, ctx.window_size = inputs
        _, mu, v, place = output
        ctx.training, ctx.dtype, ctx.channels_last = True, x.dtype, is_channels_last(x)
        if place is not None:
            ctx.mark_non_differentiable(place)
        save(ctx, (x, gamma, beta, mu, v, place), ())

    @staticmethod
    def backward(
        ctx: Any, grad_z: Tensor, grad_mu: Tensor, grad_v: Tensor, _: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        x, gamma, beta, mu, v, place = saved(ctx, ctx.for_backward)
        inputs = x, gamma, beta, place, grad_z, mu, v
        options = ctx.eps, ctx.window_size, ctx.channels_last
        grads: tuple[Tensor | None, ...]
        if ctx.needs_input_grad[0] and (place is None or ctx.channels_last):
            grads = asked_for(ctx, gradients(*inputs, grad_mu, grad_v, *options))
        else:  # in contiguous memory one code for both, pooling's and this, is the slower one
            grad_rows = channels_behind(gradient_of_y(*inputs, *options))
            rows, statistics = channels_behind(x), (grad_mu, grad_v)
            grad_x, *others = BatchNorm1d.gradients(ctx, rows, gamma, mu, v, grad_rows, *statistics)
            grads = channels_in_front(grad_x), *others
        return *grads, None, None


@kernel
def normalise_and_pool(
    x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float, window_size: Pair | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The whole of the forward: z, μ, v and p."""
    y, mu, v = normalised_by_batch(channels_behind(x), gamma, beta, eps)
    if window_size is None:
        return channels_in_front(y).clamp(min=0), mu, v, None
    z, place = if_short(first_maxima, prod(window_size))(channels_in_front(y), window_size, True)
    return z, mu, v, place


@kernel
def gradients(
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    place: Tensor | None,
    grad_z: Tensor,
    mu: Tensor,
    v: Tensor,
    grad_mu: Tensor,
    grad_v: Tensor,
    eps: float,
    window_size: Pair | None,
    channels_last: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """The whole of the backward: x̄, γ̄, β̄."""
    grad_y = gradient_of_y(x, gamma, beta, place, grad_z, mu, v, eps, window_size, channels_last)
    rows, grad_rows = channels_behind(x), channels_behind(grad_y)
    grads = gradients_by_batch(rows, grad_rows, grad_mu, grad_v, gamma, mu, v, eps)
    grad_x, grad_gamma, grad_beta = grads
    grad_x = channels_in_front(grad_x)
    if channels_last:
        grad_x = in_memory_format(grad_x, channels_last)
    return grad_x, grad_gamma, grad_beta


def gradient_of_y(
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    place: Tensor | None,
    grad_z: Tensor,
    mu: Tensor,
    v: Tensor,
    eps: float,
    window_size: Pair | None,
    channels_last: bool,
) -> Tensor:
    """ȳ, by ReLU's formula or by pooling's."""
    if window_size is None or place is None:
        y = affine(channels_behind(x), gamma, beta, mu, v, eps)
        return channels_in_front(where_positive(y, channels_behind(grad_z)))
    height, width = x.shape[2:]
    return to_place(grad_z, place, window_size, (height, width), channels_last)


def batch_norm_relu2d(
    input: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    window_size: Size2 | None = None,
) -> Tensor:
    """``relu(batch_norm2d(input, …))``, and ``max_pool2d(…, window_size, ties="first")`` of it.

    Args:
        input, weight, bias, running_mean, running_var, training, momentum, eps: as `batch_norm2d`.
        window_size: as `max_pool2d`; None does not pool.

    Returns:
        N × C × H × W, or pooled, N × C × ⌊H/K⌋ × ⌊W/K⌋; in the memory format of the input.

    Raises:
        ValueError, RuntimeError, TypeError: as `batch_norm2d` and `max_pool2d`.

    Example:
        >>> batch_norm_relu2d(torch.tensor([[[[1.0, 3.0]]]]), training=True, eps=0.0)
        tensor([[[[0., 1.]]]])
    """
    arguments = input, weight, bias, running_mean, running_var, training, momentum, eps
    if calls_for_operator(*arguments[:5]):
        y = relu(batch_norm2d(*arguments))
        return y if window_size is None else max_pool2d(y, window_size, ties="first")
    window = None if window_size is None else checked_window("batch_norm_relu2d", input, window_size)

    def apply(
        x: Tensor, gamma: Tensor | None, beta: Tensor | None, *running: Any
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        *_, training, eps = running
        if training and first_derivative_only(x, gamma, beta):
            z, mu, v, _ = BatchNormReLU2d.apply(x, gamma, beta, eps, window)
            return z, mu, v
        y, mu, v = apply_batch_norm2d(x, gamma, beta, *running)
        return relu(y) if window is None else relu_max_pool2d(y, window), mu, v

    return checked_batch_norm(apply, ("N", "C", "H", "W"), *arguments)
