"""hippynn: networks for atoms."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import OLD_STYLE, not_traced, rows
from wild.entry import Wild, by_design, defect

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
            judged={
                **OLD_STYLE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: they are "
                    "added in place into a tensor without a batch."
                ),
                **not_traced("Dynamo does not trace the lock that is taken for each call."),
            },
        ),
        Wild(
            "hippynn.custom_kernels.autograd_wrapper:AGSensesum",
            sensesum,
            [Sample(env, feat, first, second)],
            _sensitivities,
            judged={
                **OLD_STYLE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: they are "
                    "added in place into a tensor without a batch."
                ),
                **not_traced("Dynamo does not trace the lock that is taken for each call."),
                **rows(
                    defect(
                        "Under autocast the backward raises an error: it multiplies "
                        "numbers of two dtypes."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "zero size batch": by_design(
                    "Pairs of atoms that are not there are refused, by an error of another kind."
                ),
            },
        ),
        Wild(
            "hippynn.custom_kernels.autograd_wrapper:AGFeatsum",
            featsum,
            [Sample(env, sense, first, second)],
            lambda env, sense, first, second: env.new_zeros(len(env), 3).index_add(
                0, second, (env[first] * sense[:, :, None]).sum(1)
            ),
            judged={
                **OLD_STYLE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: they are "
                    "added in place into a tensor without a batch."
                ),
                **not_traced("Dynamo does not trace the lock that is taken for each call."),
            },
        ),
    ]


def _sensitivities(env: Tensor, feat: Tensor, first: Tensor, second: Tensor) -> Tensor:
    if len(env) != len(feat):
        raise ValueError(f"{len(env)} atoms, or {len(feat)}?")
    return (env[first] * feat[second][:, None, :]).sum(-1)
