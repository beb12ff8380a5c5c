"""Functions of pytorchcv's models: covariance pooling, a matrix root, signs as weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild, defect
from wild.shared.judgements import (
    OLD_STYLE,
    of,
)

REQUIREMENT = "pytorchcv==0.0.74"


AUTOCAST = of(
    defect("The backward raises for a forward under autocast: it multiplies two dtypes."),
    "autocast bfloat16",
    "autocast float16",
)


def covariance(x: Tensor) -> Tensor:
    """The covariance of the channels over the pixels: (N, C, H, W) to (N, C, C)."""
    centred = (x - x.mean((2, 3), keepdim=True)).flatten(2)
    return centred @ centred.mT / centred.shape[2]


def newton_schulz(x: Tensor, steps: int) -> Tensor:
    """The square root of positive definite matrices, by the coupled iteration of Newton and Schulz.

    Li, Xie, Wang, Gao, Towards Faster Training of Global Covariance Pooling Networks, CVPR 2018.
    """
    trace = x.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
    identity = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    y, z = x / trace, identity.expand_as(x)
    for _ in range(steps):
        middle = (3 * identity - z @ y) / 2
        y, z = y @ middle, middle @ z
    return y * trace.sqrt()


def upper_triangle(x: Tensor) -> Tensor:
    """The entries on and above the diagonal: (N, C, C) to (N, C·(C + 1)/2, 1)."""
    rows, columns = torch.triu_indices(x.shape[1], x.shape[1])
    return x[:, rows, columns, None]


def functions() -> list[Wild]:
    """Three Functions of iSQRT-COV-ResNet, and the binarisation of a wide ResNet."""
    from pytorchcv.models import isqrtcovresnet, wrn1bit_cifar

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    matrices = (covariance(x.detach()) + torch.eye(3, dtype=torch.float64) / 2).requires_grad_()
    return [
        Wild(
            "pytorchcv.models.isqrtcovresnet:CovPool",
            isqrtcovresnet.CovPool.apply,
            [Sample(x)],
            covariance,
            judged={
                **OLD_STYLE,
                **AUTOCAST,
                **of(
                    defect(
                        "Digits are lost where the mean is large: pixels enter before it is subtracted."
                    ),
                    "accuracy",
                ),
            },
        ),
        Wild(
            "pytorchcv.models.isqrtcovresnet:NewtonSchulzSqrt",
            isqrtcovresnet.NewtonSchulzSqrt.apply,
            [Sample(matrices, 5)],
            newton_schulz,
            judged={
                **OLD_STYLE,
                **AUTOCAST,
                **of(
                    defect(
                        "Second derivatives are wrong in silence: intermediates count as constants."
                    ),
                    "gradgradcheck",
                ),
            },
        ),
        Wild(
            "pytorchcv.models.isqrtcovresnet:Triuvec",
            isqrtcovresnet.Triuvec.apply,
            [Sample(matrices)],
            upper_triangle,
            judged={
                **OLD_STYLE,
                "fake tensors": defect("Fake tensors raise: the places are found by nonzero()."),
                **of(
                    defect("The backward raises for a transposed input: view of zeros_like."),
                    "strided views",
                ),
                **of(
                    defect("An empty batch raises: reshape(0, -1)."),
                    "zero size batch",
                    "second derivative of empty batches",
                ),
                **of(
                    defect("Batched gradients raise: the backward assigns in place."),
                    "batched gradients",
                ),
            },
        ),
        Wild(
            "pytorchcv.models.wrn1bit_cifar:Binarize",
            wrn1bit_cifar.Binarize.apply,
            [Sample(x)],
            lambda x: math.sqrt(2 / math.prod(x.shape[1:])) * x.sign(),
            lambda x: x.clone(),
            judged=OLD_STYLE,
        ),
    ]
