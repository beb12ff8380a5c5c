"""hippynn: networks for atoms."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild

REQUIREMENT = "hippynn==0.1.3"
NEEDS = ("matplotlib==3.11.2", "pyyaml==6.0.4", "tqdm==4.70.1")


def functions() -> list[Wild]:
    """Sums over pairs of atoms; each one's gradients are the other two."""
    from hippynn.custom_kernels import autograd_wrapper, env_pytorch

    envsum, sensesum, featsum = autograd_wrapper.wrap_envops(
        env_pytorch.envsum, env_pytorch.sensesum, env_pytorch.featsum
    )
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()

    first, second = torch.tensor([0, 0, 1, 2, 2]), torch.tensor([1, 2, 0, 0, 1])
    sense, feat, env = random(5, 2), random(3, 3), random(3, 2, 3)
    return [
        Wild(
            "hippynn.custom_kernels.autograd_wrapper:AGEnvsum",
            envsum,
            [Sample(sense, feat, first, second)],
            lambda sense, feat, first, second: (
                torch.zeros(3, 2, 3)
                .to(sense)
                .index_add(0, first, sense[:, :, None] * feat[second][:, None, :])
            ),
        ),
        Wild(
            "hippynn.custom_kernels.autograd_wrapper:AGSensesum",
            sensesum,
            [Sample(env, feat, first, second)],
            _sensitivities,
        ),
        Wild(
            "hippynn.custom_kernels.autograd_wrapper:AGFeatsum",
            featsum,
            [Sample(env, sense, first, second)],
            lambda env, sense, first, second: env.new_zeros(len(env), 3).index_add(
                0, second, (env[first] * sense[:, :, None]).sum(1)
            ),
        ),
    ]


def _sensitivities(env: Tensor, feat: Tensor, first: Tensor, second: Tensor) -> Tensor:
    if len(env) != len(feat):
        raise ValueError(f"{len(env)} atoms, or {len(feat)}?")
    return (env[first] * feat[second][:, None, :]).sum(-1)
