"""POT: optimal transport."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import OLD_STYLE, ONCE, UNDER_AUTOCAST
from wild.entry import Wild

REQUIREMENT = "POT==0.9.7.post1"


def functions() -> list[Wild]:
    """The square root of a symmetric matrix, with which Gaussians are compared."""
    from ot.backend import get_backend

    a = torch.tensor([[2.0, 0.4, 0.1], [0.4, 1.1, -0.3], [0.1, -0.3, 0.7]], dtype=torch.float64)
    backend = get_backend(a)
    return [
        Wild(
            "ot.backend:MatrixSqrtFunction",
            backend.sqrtm,
            [Sample(a.requires_grad_())],
            _square_root,
            judged={**OLD_STYLE, **UNDER_AUTOCAST, "gradgradcheck": ONCE},
        )
    ]


def _square_root(a: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh((a + a.mT) / 2)
    return (vectors * values.sqrt()[..., None, :]) @ vectors.mT
