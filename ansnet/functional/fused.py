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
    apply_batch_norm2d,
    asked_for,
    batch_norm2d,
    channels_behind,
    channels_in_front,
    checked_batch_norm,
    gradient_of_rows,
    line,
    number_of_rows,
    scale,
    statistics,
    sums_of_products,
    through_statistics,
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
        x = in_order(x)
        mu, v = statistics(channels_behind(x))
        function = if_short(rectified, prod(window_size or (1, 1)))
        z, place = function(x, scale(gamma, v, eps), beta, mu, window_size)
        return z, mu, v, place

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
        whole = ctx.needs_input_grad[0] and (place is None or ctx.channels_last)
        # where p alone says what ȳ is, nobody reads γ · r
        gamma_r = scale(gamma, v, ctx.eps) if whole or place is None else mu
        inputs = x, gamma_r, beta, place, grad_z, mu, ctx.window_size, ctx.channels_last
        grads: tuple[Tensor | None, ...]
        if whole:
            N = number_of_rows(channels_behind(x))
            constant, slope, grad_gamma, grad_beta = through_statistics(
                *sums(*inputs), grad_mu, grad_v, gamma_r, v, ctx.eps, N
            )
            grads = asked_for(ctx, (gradient(*inputs, constant, slope), grad_gamma, grad_beta))
        else:  # in contiguous memory one code for both, pooling's and this, is the slower one
            grad_rows = channels_behind(gradient_of_y(*inputs))
            rows, given = channels_behind(x), (grad_mu, grad_v)
            grad_x, *others = BatchNorm1d.gradients(ctx, rows, gamma, mu, v, grad_rows, *given)
            grads = channels_in_front(grad_x), *others
        return *grads, None, None


@kernel
def rectified(
    x: Tensor, gamma_r: Tensor, beta: Tensor | None, mu: Tensor, window_size: Pair | None
) -> tuple[Tensor, Tensor | None]:
    """The forward after μ and v: z and p."""
    y = channels_in_front(line(channels_behind(x), gamma_r, beta, mu))
    if window_size is None:
        return y.clamp(min=0), None
    return if_short(first_maxima, prod(window_size))(y, window_size, True)


@kernel
def sums(
    x: Tensor,
    gamma_r: Tensor,
    beta: Tensor | None,
    place: Tensor | None,
    grad_z: Tensor,
    mu: Tensor,
    window_size: Pair | None,
    channels_last: bool,
) -> tuple[Tensor, Tensor]:
    """Σ ȳ and Σ ȳ · (x − μ) of each channel."""
    grad_y = gradient_of_y(x, gamma_r, beta, place, grad_z, mu, window_size, channels_last)
    return sums_of_products(channels_behind(x), channels_behind(grad_y), mu)


@kernel
def gradient(
    x: Tensor,
    gamma_r: Tensor,
    beta: Tensor | None,
    place: Tensor | None,
    grad_z: Tensor,
    mu: Tensor,
    window_size: Pair | None,
    channels_last: bool,
    constant: Tensor,
    slope: Tensor,
) -> Tensor:
    """x̄, from what the sums have given."""
    grad_y = gradient_of_y(x, gamma_r, beta, place, grad_z, mu, window_size, channels_last)
    rows, grad_rows = channels_behind(x), channels_behind(grad_y)
    grad_x = channels_in_front(gradient_of_rows(rows, grad_rows, mu, gamma_r, constant, slope))
    return in_memory_format(grad_x, channels_last) if channels_last else grad_x


def gradient_of_y(
    x: Tensor,
    gamma_r: Tensor,
    beta: Tensor | None,
    place: Tensor | None,
    grad_z: Tensor,
    mu: Tensor,
    window_size: Pair | None,
    channels_last: bool,
) -> Tensor:
    """ȳ, by ReLU's formula or by pooling's."""
    if window_size is None or place is None:
        y = line(channels_behind(x), gamma_r, beta, mu)
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
