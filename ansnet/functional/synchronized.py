r"""Batch normalisation by the images of all processes, each of which has a part of the batch.

Forward, in process p, whose part x_p has N_p rows, with the mean μ_p and the variance v_p::

    N = Σ_p N_p
    μ = 1/N Σ_p N_p · μ_p
    v = 1/N Σ_p N_p · (v_p + (μ_p − μ)²)
    r = 1/√(v + ε)
    x̂_p = (x_p − μ) · r
    z_p = γ · x̂_p + β

    running mean     ← (1 − m) · running mean     + m · μ
    running variance ← (1 − m) · running variance + m · v · N/(N − 1)

μ and v are those of all N rows, so that the network learns as in one process that has them all.

Backward, of the sum of what the processes differentiate::

    β̄_p = Σ_n z̄_p[n]
    γ̄_p = Σ_n z̄_p[n] · x̂_p[n]
    m̄ = Σ_p (μ̄_p − γ · r · β̄_p)
    s̄ = Σ_p (v̄_p − γ · r² · γ̄_p/2)
    x̄_p = γ · r · z̄_p + m̄/N + 2 s̄ (x_p − μ)/N

Tangent::

    μ̇ = 1/N Σ_p Σ_n ẋ_p[n],  v̇ = 2/N Σ_p Σ_n (x_p[n] − μ) · ẋ_p[n]
    ż_p = γ · (r · (ẋ_p − μ̇) − x̂_p · r² · v̇/2) + γ̇ · x̂_p + β̇

x_p changes what the other processes make of theirs, through μ and v. So the gradients of these are
sums over all processes: two numbers a channel, besides the 2 C + 1 of the forward. γ̄ and β̄ stay each
process's own, as all gradients of parameters do: `torch.nn.parallel.DistributedDataParallel` takes
their mean. Second derivatives go through the sums over processes, whose gradient is another one::

    s = Σ_p s_p,  s̄_p = Σ_q s̄_q        for the sum s that each process q has a copy of

Every process has to take part in each of these sums, with no image too; one that does not, stops the
others. `torch.vmap` of it is not supported: what would be a batch there, has none of the other
processes' beside it.

Shapes::

    x_p, z_p      N_p × C × …             N_p may differ, and be 0
    γ, β, μ, v    C

Source: Ioffe and Szegedy, *Batch normalization* (2015), for the formulas of one process; the mean and
variance of parts put together by Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm
for computing sample variances* (1979), equation 2.1; Zhang et al., *Context encoding for semantic
segmentation* (2018), section 3.1, for the sums over devices.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, rsqrt

from ansnet.functional.arguments import as_dtype, at_least_float32, in_order
from ansnet.functional.function import as_new, is_exported, save, saved
from ansnet.functional.kernel import kernel
from ansnet.functional.normalization import (
    Gradients,
    affine,
    apply_batch_norm2d,
    asked_for,
    batch_norm1d,
    channels_behind,
    channels_in_front,
    check_batch_norm,
    checked_batch_norm,
    gradients_of_parameters,
    number_of_rows,
    row_axes,
    scale,
    statistics,
    sum_of_rows,
    update,
    x_hat,
)

Group = Any  # `torch.distributed.ProcessGroup`; None is that of all processes


class SumOverProcesses(torch.autograd.Function):
    """s = Σ_p s_p in every process. ``SumOverProcesses.apply(s_p, group)``."""

    @staticmethod
    def forward(part: Tensor, group: Group) -> Tensor:
        total = part.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _, ctx.group = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        return SumOverProcesses.apply(grad, ctx.group), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        total: Tensor = SumOverProcesses.apply(tangent, ctx.group)
        return total


class SyncBatchNorm(torch.autograd.Function):
    """z_p, μ, v, N = batch normalisation by the rows of all processes; formulas in the docstring above.

    ``SyncBatchNorm.apply(x_p, γ, β, eps, group)``, for training. N is in float64, and no gradient goes
    through it. Where N is 0, μ and v are 0.
    """

    @staticmethod
    def forward(
        x: Tensor, gamma: Tensor | None, beta: Tensor | None, eps: float, group: Group
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        rows = channels_behind(in_order(x))
        mu, v, N = statistics_of_all(rows, group)
        z = affine(rows, gamma, beta, mu, v, eps)
        return as_new(channels_in_front(z)), mu, v, N

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Any, ...]) -> None:
        x, gamma, _, ctx.eps, ctx.group = inputs
        _, mu, v, N = output
        ctx.dtype = x.dtype
        ctx.mark_non_differentiable(N)
        save(ctx, (x, gamma, mu, v, N), (x, gamma, mu, v, N))

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor, grad_mu: Tensor, grad_v: Tensor, _: Tensor) -> Gradients:
        x, gamma, mu, v, N = saved(ctx, ctx.for_backward)
        rows, grad_rows = channels_behind(x), channels_behind(grad_z)
        needs_grad_x, *needed = ctx.needs_input_grad[:3]
        if not needs_grad_x:
            grads = gradients_of_parameters(rows, grad_rows, mu, v, ctx.eps, *needed)
            return None, *grads, None, None
        *grads_of_statistics, grad_gamma, grad_beta = gradients_of_vectors(
            rows, grad_rows, grad_mu, grad_v, gamma, mu, v, ctx.eps
        )
        whole = SumOverProcesses.apply(torch.stack(grads_of_statistics), ctx.group)
        N = N.clamp(min=1).to(mu.dtype)
        grad_x = gradient_of_rows(rows, grad_rows, whole[0] / N, whole[1] / N, gamma, mu, v, ctx.eps)
        return *asked_for(ctx, (channels_in_front(grad_x), grad_gamma, grad_beta)), None, None

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor, *tangents: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        x, gamma, mu, v, N = saved(ctx, ctx.for_forward)
        tangent_gamma, tangent_beta, *_ = tangents
        x, tangent = channels_behind(x), at_least_float32(channels_behind(tangent_x))
        rows, centred = row_axes(x), at_least_float32(x) - mu
        sums = torch.stack([tangent.sum(rows), 2 * (centred * tangent).sum(rows)])
        whole = SumOverProcesses.apply(sums, ctx.group) / N.clamp(min=1).to(mu.dtype)
        tangent_mu, tangent_v = whole.unbind()
        through_x = tangent - tangent_mu - centred * (tangent_v / (v + ctx.eps) / 2)
        tangent_z = scale(gamma, v, ctx.eps) * through_x
        if tangent_gamma is not None:
            tangent_z = tangent_z + tangent_gamma * x_hat(x, mu, v, ctx.eps)
        if tangent_beta is not None:
            tangent_z = tangent_z + tangent_beta
        return channels_in_front(as_dtype(tangent_z, ctx.dtype)), tangent_mu, tangent_v, None


def statistics_of_all(x: Tensor, group: Group) -> tuple[Tensor, Tensor, Tensor]:
    """μ, v, N from N_p, μ_p, v_p of every process, put together in float64 in the order of their ranks.

    So each process comes to the same bits.
    """
    mean, variance = own_statistics(x)
    rows = mean.new_tensor([number_of_rows(x)], dtype=torch.float64)
    own = torch.cat([rows, mean.double(), variance.double()])
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size(group))]
    dist.all_gather(parts, own, group=group)
    everyones = torch.stack(parts)
    numbers, means, variances = everyones.split([1, len(mean), len(mean)], 1)
    N = numbers.sum()
    shares = numbers / N.clamp(min=1)
    mu = (shares * means).sum(0)
    v = (shares * (variances + (means - mu).square())).sum(0)
    return mu.to(mean.dtype), v.to(mean.dtype), N


def own_statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """μ_p and v_p; 0 where there are no rows."""
    if number_of_rows(x) == 0:
        zeros = at_least_float32(x.new_zeros(x.shape[-1]))
        return zeros, zeros
    return statistics(x)


@kernel
def gradients_of_vectors(
    x: Tensor,
    grad_z: Tensor,
    grad_mu: Tensor,
    grad_v: Tensor,
    gamma: Tensor | None,
    mu: Tensor,
    v: Tensor,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What process p adds to m̄ and s̄, and its γ̄_p and β̄_p."""
    grad_z, r, gamma_r = at_least_float32(grad_z), rsqrt(v + eps), scale(gamma, v, eps)
    grad_beta = sum_of_rows(grad_z)
    grad_gamma = sum_of_rows(grad_z * (at_least_float32(x) - mu)) * r
    whole_grad_mu = grad_mu - gamma_r * grad_beta
    whole_grad_v = grad_v - gamma_r * r * grad_gamma / 2
    return whole_grad_mu, whole_grad_v, grad_gamma, grad_beta


@kernel
def gradient_of_rows(
    x: Tensor,
    grad_z: Tensor,
    mean_grad_mu: Tensor,
    mean_grad_v: Tensor,
    gamma: Tensor | None,
    mu: Tensor,
    v: Tensor,
    eps: float,
) -> Tensor:
    """x̄_p from m̄/N and s̄/N."""
    centred = at_least_float32(x) - mu
    through_statistics = torch.addcmul(mean_grad_mu, centred, 2 * mean_grad_v)
    grad_x = torch.addcmul(through_statistics, scale(gamma, v, eps), at_least_float32(grad_z))
    return as_dtype(grad_x, x.dtype)


def sync_batch_norm(
    input: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    group: Group = None,
) -> Tensor:
    """Batch normalisation by the batch of all processes; as `torch.nn.SyncBatchNorm`, on any device.

    Without several processes, or when not training, it is `batch_norm1d` and `batch_norm2d`. All
    processes of the group have to call it, and to differentiate by it, as often as each other.

    Args:
        input: N_p × C × …, this process's part of the batch; it may have no row.
        weight, bias, running_mean, running_var, training, momentum, eps: as `batch_norm1d`; the
            running averages are of the rows of all processes, and so the same in each.
        group: the processes, a `torch.distributed.ProcessGroup`; None for all.

    Returns:
        The shape of the input.

    Raises:
        ValueError, RuntimeError: as `batch_norm1d`, the rows of all processes taking the place of N.

    Example:
        >>> sync_batch_norm(torch.tensor([[1.0], [3.0]]), training=True, eps=0.0)
        tensor([[-1.],
                [ 1.]])
    """
    arguments = input, weight, bias, running_mean, running_var, training, momentum, eps
    if training and number_of_processes(group) > 1 and not is_exported():
        z: Tensor = by_all_processes(*arguments, group)
        return z
    if input.dim() < 4:
        return batch_norm1d(*arguments)
    axes = ("N", "C", "D", "H", "W") if input.dim() == 5 else ("N", "C", "H", "W")
    return checked_batch_norm(apply_batch_norm2d, axes, *arguments)


def number_of_processes(group: Group) -> int:
    """How many processes are in a group; 1 where there are none but this one."""
    return dist.get_world_size(group) if dist.is_available() and dist.is_initialized() else 1


@torch.compiler.disable  # type: ignore[untyped-decorator]  # what is exchanged between processes
def by_all_processes(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    group: Group,
) -> Tensor:
    """Check the arguments, apply the Function, and keep the running averages up."""
    axes = ("N", "C", "*", "*", "*")[: max(2, input.dim())]
    check_batch_norm(axes, input, weight, bias, running_mean, running_var, training, eps)
    z: Tensor
    z, mu, v, N = SyncBatchNorm.apply(input, weight, bias, eps, group)
    # only then the others may have too few; asked of every batch, a GPU would be waited for
    if input.shape[0] * input.shape[2:].numel() < 2:
        if N == 0:
            return z
        if N == 1:
            raise ValueError(
                "batch normalisation expects more than 1 value per channel when training, got 1 from "
                "all processes together"
            )
    update(running_mean, mu, momentum)
    update(running_var, v * (N / (N - 1)).to(v.dtype), momentum)
    return z
