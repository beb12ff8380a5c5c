"""Hyperbolic tangents of TorchRL that keep away from ±1."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild
from wild.shared.judgements import NO_FORWARD_MODE

REQUIREMENT = "torchrl==0.14.1"
NEEDS = (
    "tensordict==0.15.3",
    "pyvers==0.2.3",
    "cloudpickle==3.1.3",
    "packaging==26.4",
)


def margin_of(x: Tensor, margin: float | None) -> float:
    """The margin, or else what the dtype can tell from 1."""
    return torch.finfo(x.dtype).resolution if margin is None else margin


def tanh(x: Tensor, margin: float | None = None) -> Tensor:
    """Within ±(1 − margin)."""
    limit = 1 - margin_of(x, margin)
    return x.tanh().clamp(-limit, limit)


def straight_tanh(x: Tensor, margin: float | None = None) -> Tensor:
    """The same with straight lines, instead of constants, beyond: the slope there stays above 0."""
    limit = torch.tensor(1 - margin_of(x, margin), dtype=x.dtype, device=x.device)
    edge = limit.atanh() * x.sign()
    outside = x.abs() > edge.abs()
    line = edge.tanh() + (x - edge) * (1 - limit**2)
    return torch.where(outside, line, torch.where(outside, 0, x).tanh())


def atanh(x: Tensor, margin: float | None = None) -> Tensor:
    """Of what is brought within ±(1 − margin)."""
    limit = 1 - margin_of(x, margin)
    return x.clamp(-limit, limit).atanh()


def straight_atanh(x: Tensor, margin: float | None = None) -> Tensor:
    """The same with straight lines, instead of constants, beyond."""
    limit = torch.tensor(1 - margin_of(x, margin), dtype=x.dtype, device=x.device)
    edge = limit * x.sign()
    outside = x.abs() > limit
    # 1 in their place where they are not meant: in bfloat16 the limit may be 1
    slope = 1 / torch.where(outside, 1 - limit**2, 1)
    line = torch.where(outside, edge, 0).atanh() + (x - edge) * slope
    return torch.where(outside, line, torch.where(outside, 0, x).atanh())


def functions() -> list[Wild]:
    """Four Functions of `torchrl.modules.distributions.utils`."""
    from torchrl.modules.distributions import utils

    x = torch.tensor([[-1.4, -0.7, -0.2], [0.3, 0.8, 1.7]], dtype=torch.float64, requires_grad=True)
    y = (x / 2).detach().requires_grad_()
    named = [
        ("_SafeTanh", Sample(x, 0.001), tanh, straight_tanh),
        ("_SafeTanhNoEps", Sample(x), tanh, straight_tanh),
        ("_SafeaTanh", Sample(y, 0.001), atanh, straight_atanh),
        ("_SafeaTanhNoEps", Sample(y), atanh, straight_atanh),
    ]
    return [
        Wild(
            f"torchrl.modules.distributions.utils:{name}",
            getattr(utils, name).apply,
            [sample],
            reference,
            derivative,
            judged=NO_FORWARD_MODE,
        )
        for name, sample, reference, derivative in named
    ]
