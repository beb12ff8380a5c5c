r"""Batch normalisation, of matrices and of images.

Forward, for each of the C columns (γ is the weight, β the bias)::

    μ = 1/N Σ_n x[n]                      when training, else the running mean
    v = 1/N Σ_n (x[n] − μ)²               when training, else the running variance
    r = 1/√(v + ε)
    x̂ = (x − μ) · r
    z = γ · x̂ + β

    running mean     ← (1 − m) · running mean     + m · μ
    running variance ← (1 − m) · running variance + m · v · N/(N − 1)

Backward::

    β̄ = Σ_n z̄[n]
    γ̄ = Σ_n z̄[n] · x̂[n]
    x̄ = γ · r · z̄                                              when not training
    x̄ = γ · r · z̄ + m̄/N + 2 s̄ (x − μ)/N                         when training, where
        m̄ = μ̄ − γ · r · β̄
        s̄ = v̄ − γ · r² · γ̄/2

Tangent::

    μ̇ = 1/N Σ_n ẋ[n],  v̇ = 2/N Σ_n (x[n] − μ) · ẋ[n]             when training, else 0
    ż = γ · (r · (ẋ − μ̇) − x̂ · r² · v̇/2) + γ̇ · x̂ + β̇

In training z depends on x in three ways: directly, through μ and through v, whose whole gradients are
m̄ and s̄. The Function returns μ and v beside z, and its backward reads them. In a first derivative
nothing else does, and μ̄ and v̄ are 0; x̄ is then γ · r · (z̄ − β̄/N − x̂ · γ̄/N). In a second
derivative the backward itself is differentiated, and its uses of μ and v give μ̄ and v̄. Had μ and v
been kept on ``ctx``, they would have passed for constants.

Shapes::

    BatchNorm1d   x, z  N × C             γ, β, μ, v  C; also N × C × L, by the Function BatchNorm2d
    BatchNorm2d   x, z  N × C × H × W     γ, β, μ, v  C, over the N·H·W rows of (N·H·W) × C

Spatial batch normalisation moves the channel axis behind the others and back; it is no mere
reshape. The rows stay spread over N × H × W instead of being merged into one axis: merging is free
where channels are last in memory, and a copy where they are not; so it is free in both.

What it cannot do, nor can PyTorch's (see ``docs/capabilities.md``): under `torch.vmap` the running
averages are updated only if they are batched themselves. Per-sample gradients in training have no
meaning with them, nor, since the images of a batch share their statistics, without. `BatchNorm1d` has
no memory formats: matrices have no channels-last one.

Source: the notebook, "Batch normalizace pro 2D vstupy"; Ioffe and Szegedy, *Batch normalization*
(2015), algorithm 1 and the gradients in section 3.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, rsqrt
from torch.autograd import forward_ad

from ansnet.functional.arguments import OptionalTensor, as_dtype, at_least_float32, in_order
from ansnet.functional.function import (
    as_new,
    calls_for_operator,
    compilable,
    is_exported,
    is_transformed,
    save,
    saved,
    where_needed,
)
from ansnet.functional.kernel import kernel

Gradients = tuple[Tensor | None, ...]
TRAINING_EXPORTED = (
    "batch normalisation is exported in training mode, and so will normalise by the batch that it is "
    "given; call .eval() before, for the running averages"
)


class TrainingModeWarning(UserWarning):
    """A network is exported as it trains, and not as it answers."""


class BatchNorm1d(torch.autograd.Function):
    """z, μ, v = batch normalisation of the rows of x; the module's docstring has the formulas.

    ``BatchNorm1d.apply(x, γ, β, running_mean, running_var, training, eps)``. When not training,
    None stands for μ and v, which are then the running ones. Nothing is updated here.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor,
        gamma: Tensor | None,
        beta: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        training: bool,
        eps: float,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if training:
            mu, v = statistics(x)
            z = affine(x, gamma, beta, mu, v, eps)
            return as_new(z), batched_as(z, mu), batched_as(z, v)
        assert running_mean is not None
        assert running_var is not None
        return affine(x, gamma, beta, running_mean, running_var, eps), None, None

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        x, gamma, _, running_mean, running_var, ctx.training, ctx.eps = inputs
        _, mu, v = output if ctx.training else (None, running_mean, running_var)
        ctx.dtype = x.dtype
        reads_x = ctx.training or ctx.needs_input_grad[1]
        save(ctx, (where_needed(reads_x, x), gamma, mu, v), (x, gamma, mu, v))

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor, *grad_statistics: Tensor) -> Gradients:
        tensors = saved(ctx, ctx.for_backward)
        return *BatchNorm1d.gradients(ctx, *tensors, grad_z, *grad_statistics), *[None] * 4

    @staticmethod
    def gradients(
        ctx: Any,
        x: Tensor,
        gamma: Tensor | None,
        mu: Tensor,
        v: Tensor,
        *grads: Tensor,
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """x̄, γ̄, β̄ for x of shape … × C, whose rows are all axes but the last."""
        grad_z, grad_mu, grad_v = grads
        needs_grad_x, needs_grad_gamma, needs_grad_beta, *_ = ctx.needs_input_grad
        if ctx.training and needs_grad_x:
            return asked_for(ctx, gradients_by_batch(x, grad_z, grad_mu, grad_v, gamma, mu, v, ctx.eps))
        scaled = at_least_float32(grad_z) * scale(gamma, v, ctx.eps) if needs_grad_x else None
        return (
            None if scaled is None else as_dtype(scaled, ctx.dtype),
            *gradients_of_parameters(x, grad_z, mu, v, ctx.eps, needs_grad_gamma, needs_grad_beta),
        )

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        return BatchNorm1d.tangents(ctx, *saved(ctx, ctx.for_forward), *tangents)

    @staticmethod
    def tangents(
        ctx: Any,
        x: Tensor,
        gamma: Tensor | None,
        mu: Tensor,
        v: Tensor,
        *tangents: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """ż, μ̇, v̇ for x of shape … × C."""
        tangent_x, tangent_gamma, tangent_beta, *_ = tangents
        tangent_x, normalised_x = at_least_float32(tangent_x), x_hat(x, mu, v, ctx.eps)
        tangent_mu = tangent_v = None
        if ctx.training:
            rows, centred = row_axes(x), at_least_float32(x) - mu
            tangent_mu = tangent_x.mean(rows)
            tangent_v = 2 * (centred * tangent_x).mean(rows)
            tangent_x = tangent_x - tangent_mu - centred * (tangent_v / (v + ctx.eps) / 2)
        tangent_z = scale(gamma, v, ctx.eps) * tangent_x
        if tangent_gamma is not None:
            tangent_z = tangent_z + tangent_gamma * normalised_x
        if tangent_beta is not None:
            tangent_z = tangent_z + tangent_beta
        return as_dtype(tangent_z, ctx.dtype), tangent_mu, tangent_v


apply_batch_norm1d = compilable(BatchNorm1d)


class BatchNorm2d(torch.autograd.Function):
    """`BatchNorm1d` of the (N·H·W) × C matrix of an N × C × H × W tensor; arguments as there."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor,
        gamma: Tensor | None,
        beta: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        training: bool,
        eps: float,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        # spelled out: torch 2.11's compiler tells by their number whether ctx comes first
        arguments = gamma, beta, running_mean, running_var, training, eps
        z, mu, v = BatchNorm1d.forward(channels_behind(in_order(x)), *arguments)
        return as_new(channels_in_front(z)), mu, v

    setup_context = BatchNorm1d.setup_context

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor, *grad_statistics: Tensor) -> Gradients:
        x, *others = saved(ctx, ctx.for_backward)
        grad_x, grad_gamma, grad_beta = BatchNorm1d.gradients(
            ctx, channels_behind(x), *others, channels_behind(grad_z), *grad_statistics
        )
        return channels_in_front(grad_x), grad_gamma, grad_beta, *[None] * 4

    @staticmethod
    def jvp(
        ctx: Any, tangent_x: Tensor, *tangents: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        x, *others = saved(ctx, ctx.for_forward)
        tangent_z, tangent_mu, tangent_v = BatchNorm1d.tangents(
            ctx, channels_behind(x), *others, channels_behind(tangent_x), *tangents
        )
        return channels_in_front(tangent_z), tangent_mu, tangent_v


apply_batch_norm2d = compilable(BatchNorm2d)


def channels_behind(x: OptionalTensor) -> OptionalTensor:
    """View N × C × H × W as N × H × W × C."""
    return None if x is None else x.movedim(1, -1)


def channels_in_front(x: OptionalTensor) -> OptionalTensor:
    """View N × H × W × C as N × C × H × W."""
    return None if x is None else x.movedim(-1, 1)


def gradients_by_batch(
    x: Tensor,
    grad_z: Tensor,
    grad_mu: Tensor,
    grad_v: Tensor,
    gamma: Tensor | None,
    mu: Tensor,
    v: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """x̄, γ̄, β̄ where μ and v are those of x."""
    gamma_r, N = scale(gamma, v, eps), number_of_rows(x)
    sums = sums_of_products(x, grad_z, mu)
    constant, slope, grad_gamma, grad_beta = through_statistics(
        *sums, grad_mu, grad_v, gamma_r, v, eps, N
    )
    return gradient_of_rows(x, grad_z, mu, gamma_r, constant, slope), grad_gamma, grad_beta


@kernel
def sums_of_products(x: Tensor, grad_z: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_n z̄[n] and Σ_n z̄[n] · (x[n] − μ)."""
    grad_z, centred = at_least_float32(grad_z), at_least_float32(x) - mu
    return sum_of_rows(grad_z), sum_of_rows(grad_z * centred)


def through_statistics(
    grad_beta: Tensor,
    products: Tensor,
    grad_mu: Tensor,
    grad_v: Tensor,
    gamma_r: Tensor,
    v: Tensor,
    eps: float,
    N: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """m̄/N and 2 s̄/N, which are what x̄ has besides γ · r · z̄; then γ̄ and β̄."""
    r = rsqrt(v + eps)
    grad_gamma = products * r
    whole_grad_mu = grad_mu - gamma_r * grad_beta
    whole_grad_v = grad_v - gamma_r * r * grad_gamma / 2
    return whole_grad_mu / N, 2 * whole_grad_v / N, grad_gamma, grad_beta


@kernel
def gradient_of_rows(
    x: Tensor, grad_z: Tensor, mu: Tensor, gamma_r: Tensor, constant: Tensor, slope: Tensor
) -> Tensor:
    """x̄ = γ · r · z̄ + m̄/N + 2 s̄ (x − μ)/N."""
    plane = torch.addcmul(constant, at_least_float32(x) - mu, slope)
    return as_dtype(torch.addcmul(plane, gamma_r, at_least_float32(grad_z)), x.dtype)


def asked_for(
    ctx: Any, grads: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """x̄, γ̄, β̄, each if its input requires it."""
    grad_x, grad_gamma, grad_beta = (
        grad if needed else None for grad, needed in zip(grads, ctx.needs_input_grad, strict=False)
    )
    return grad_x, grad_gamma, grad_beta


def gradients_of_parameters(
    x: Tensor, grad_z: Tensor, mu: Tensor, v: Tensor, eps: float, gamma: bool, beta: bool
) -> tuple[Tensor | None, Tensor | None]:
    """γ̄ and β̄, each if it is asked for."""
    grad_z = at_least_float32(grad_z)
    return (
        (grad_z * x_hat(x, mu, v, eps)).sum(row_axes(grad_z)) if gamma else None,
        grad_z.sum(row_axes(grad_z)) if beta else None,
    )


@kernel
def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """μ and v of the rows of x in one pass, by ``v = E[(x − k)²] − (E[x − k])²`` with k the first row.

    The difference multiplies the error of rounding by (μ − k)²/v, which is N at most: the first row is
    one of those that v is the mean of. So sums are in float64, 2²⁹ times as precise as float32. Where
    there is no wider type, x is read twice; and where x is in half precision, for it is quickly read.
    """
    half, x, N = x.dtype.itemsize < 4, at_least_float32(x), number_of_rows(x)
    if half or x.dtype == torch.float64 or x.device.type == "mps":
        mu = sum_of_rows(x) / N
        return mu, sum_of_rows((x - mu).square()) / N
    k = first_row(x).double()
    shifted = x.double() - k
    mean, square = sum_of_rows(shifted) / N, sum_of_rows(shifted.square()) / N
    return (k + mean).to(x.dtype), (square - mean.square()).to(x.dtype)


def batched_as(z: Tensor, statistic: Tensor) -> Tensor:
    """μ or v, under `torch.vmap` one of each batch where z is, although that of x alone may be shared.

    The batching rule that PyTorch generates (2.11 to 2.15) would add the whole gradient of an output
    that is shared once for each entry of the batch.
    """
    if not torch._C._are_functorch_transforms_active():
        return statistic
    row = first_row(z)
    return torch.where(row == row, statistic, statistic)


def affine(
    x: Tensor,
    gamma: Tensor | None,
    beta: Tensor | None,
    mu: Tensor,
    v: Tensor,
    eps: float,
) -> Tensor:
    """The affine z = γ · r · (x − μ) + β."""
    return line(x, scale(gamma, v, eps), beta, mu)


@kernel
def line(x: Tensor, gamma_r: Tensor, beta: Tensor | None, mu: Tensor) -> Tensor:
    """The same, γ · r given: generated code would take the root anew for each element."""
    centred = at_least_float32(x) - at_least_float32(mu)
    z = centred * gamma_r if beta is None else torch.addcmul(beta, centred, gamma_r)
    return as_dtype(z, x.dtype)


def x_hat(x: Tensor, mu: Tensor, v: Tensor, eps: float) -> Tensor:
    """x̂ = (x − μ) · r."""
    return affine(at_least_float32(x), None, None, mu, v, eps)


def scale(gamma: Tensor | None, v: Tensor, eps: float) -> Tensor:
    """γ · r, where no γ means 1."""
    r = rsqrt(at_least_float32(v) + eps)
    return r if gamma is None else gamma * r


def first_row(x: Tensor) -> Tensor:
    """Of … × C the first of its rows."""
    return x[(0,) * (x.dim() - 1)]


def row_axes(x: Tensor) -> tuple[int, ...]:
    """All axes but the last."""
    return tuple(range(x.dim() - 1))


def sum_of_rows(x: Tensor) -> Tensor:
    """Σ_n, of each image first: sums of fewer numbers lose less to rounding, and run side by side."""
    if x.dim() == 2:
        return x.sum(0)
    return x.sum(tuple(range(1, x.dim() - 1))).sum(0)


def number_of_rows(x: Tensor) -> int:
    """N, the number of rows that are summed over."""
    return prod(x.shape[:-1])


def batch_norm1d(
    input: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each column of a matrix, or channel of signals; as ``torch.nn.functional.batch_norm``.

    Args:
        input: N × C, or N × C × L.
        weight: γ, of shape C; None stands for 1.
        bias: β, of shape C; None stands for 0.
        running_mean: C, updated in place when training; None keeps none.
        running_var: C, likewise, from the unbiased variance.
        training: normalise by the batch's mean and variance, not by the running ones.
        momentum: m of ``running ← (1 − m) · running + m · batch``.
        eps: ε, added to the variance.

    Returns:
        The shape of the input.

    Raises:
        ValueError: the input has another number of dimensions; training with one row only, which has
            no variance, or with one running average only; or a negative ε.
        RuntimeError: an argument's shape is not (C,), or its dtype does not go with the input's; or
            not training without running averages.

    Example:
        >>> batch_norm1d(torch.tensor([[1.0], [3.0]]), training=True, eps=0.0)
        tensor([[-1.],
                [ 1.]])
    """
    arguments = input, weight, bias, running_mean, running_var
    apply, axes = apply_batch_norm1d, tuple("NC")
    if not calls_for_operator(input) and input.dim() == 3:  # the rows are those of N and L
        apply, axes = apply_batch_norm2d, (*axes, "L")
    return checked_batch_norm(apply, axes, *arguments, training, momentum, eps)


def batch_norm2d(
    input: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of a batch of images; as ``torch.nn.functional.batch_norm``.

    Args:
        input: N × C × H × W.
        weight, bias, running_mean, running_var, training, momentum, eps: as `batch_norm1d`.

    Returns:
        N × C × H × W, in the memory format of the input.

    Raises:
        ValueError, RuntimeError: as `batch_norm1d`, N·H·W taking the place of N.

    Example:
        >>> batch_norm2d(torch.tensor([[[[1.0, 3.0]]]]), training=True, eps=0.0)
        tensor([[[[-1.,  1.]]]])
    """
    arguments = input, weight, bias, running_mean, running_var
    return checked_batch_norm(
        apply_batch_norm2d, ("N", "C", "H", "W"), *arguments, training, momentum, eps
    )


def checked_batch_norm(
    apply: Callable[..., Any],
    axes: tuple[str, ...],
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """Apply a Function that gives z, μ, v, once the arguments are checked, and keep the averages up."""
    if calls_for_operator(input, weight, bias, running_mean, running_var):
        if training and is_exported():
            warn_of_training()
        tensors = input, running_mean, running_var, weight, bias
        return F.batch_norm(*tensors, training, momentum, eps)
    check_batch_norm(axes, input, weight, bias, running_mean, running_var, training, eps)
    num_channels = input.shape[1]
    num_rows = input.shape[0] * input.shape[2:].numel()
    if training and num_rows == 1:
        raise ValueError(
            "batch normalisation expects more than 1 value per channel when training, got shape "
            f"{tuple(input.shape)}"
        )
    if input.numel() == 0:  # nothing to normalise, nor to learn about the averages; gradients are 0
        training = False
        running_mean, running_var = input.new_zeros(num_channels), input.new_ones(num_channels)
    z: Tensor
    z, mu, v = apply(input, weight, bias, running_mean, running_var, training, eps)
    if training:
        update(running_mean, mu, momentum)
        update(running_var, v * (num_rows / (num_rows - 1)), momentum)
    return z


def check_batch_norm(
    axes: tuple[str, ...],
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    eps: float,
) -> None:
    """Refuse arguments that do not go together.

    Raises:
        ValueError, RuntimeError: as `batch_norm1d`.
    """
    if input.dim() != len(axes):
        raise ValueError(
            f"batch normalisation expects an input of shape ({', '.join(axes)}), "
            f"got {tuple(input.shape)}"
        )
    if not input.is_floating_point():
        raise RuntimeError(f"batch normalisation is not defined for {input.dtype}")
    if eps < 0:
        raise ValueError(f"eps must not be negative, got {eps}")
    num_channels = input.shape[1]
    vectors = {
        "weight": weight,
        "bias": bias,
        "running_mean": running_mean,
        "running_var": running_var,
    }
    for name, vector in vectors.items():
        if vector is not None and vector.shape != (num_channels,):
            raise RuntimeError(
                f"batch normalisation of {num_channels} channels needs a {name} of shape "
                f"({num_channels},), got {tuple(vector.shape)}"
            )
    dtypes = {vector.dtype for vector in vectors.values() if vector is not None}
    if len(dtypes) > 1 or dtypes - {input.dtype, torch.promote_types(input.dtype, torch.float32)}:
        kinds = ", ".join(f"{name} {v.dtype}" for name, v in vectors.items() if v is not None)
        raise RuntimeError(
            f"batch normalisation of {input.dtype} needs its other arguments all in that dtype, or all "
            f"in float32 if it is half precision, got {kinds}"
        )
    if training and (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var belong together: give both, or none")
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("batch normalisation needs running_mean and running_var when not training")


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # or Dynamo leaves it out
def warn_of_training() -> None:
    warnings.warn(TRAINING_EXPORTED, TrainingModeWarning, stacklevel=2)


@torch.no_grad()
def update(running: Tensor | None, batch: Tensor, momentum: float) -> None:
    """Running ← (1 − m) · running + m · batch; of its tangent, if it has one, nothing is kept."""
    if running is not None:
        batch = batch if is_transformed() else forward_ad.unpack_dual(batch).primal
        running.copy_((1 - momentum) * at_least_float32(running) + momentum * batch)
