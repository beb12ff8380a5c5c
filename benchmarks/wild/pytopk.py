"""The smoothed k-th largest value of pytopk."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild, defect
from wild.shared.judgements import OLD_STYLE, SINGLE_GRADIENT, TIMES_NAN, of

REQUIREMENT = "pytopk==0.1.0"


def noised_kth(x: Tensor, noise: Tensor, k: int, epsilon: float, dim: int, offset: int) -> Tensor:
    """The mean, over samples of noise, of the k-th largest of x + ε·noise."""
    noised = x[..., None] + epsilon * noise
    return -(-noised).kthvalue(k, dim + offset).values.mean(-1)


def functions() -> list[Wild]:
    """`_NoisedTopK`; the noise is an argument."""
    from pytopk.noised_topk import _NoisedTopK

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(2, 4, 5, generator=generator, dtype=torch.float64)
    return [
        Wild(
            "pytopk.noised_topk:_NoisedTopK",
            _NoisedTopK.apply,
            [Sample(x, noise, 2, 2.0, -1, -1)],
            noised_kth,
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                **TIMES_NAN,
                **of(
                    defect("The backward counts in float32: float64 gradients are as inexact."),
                    "gradients",
                ),
            },
        )
    ]
