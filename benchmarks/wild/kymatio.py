"""Kymatio: wavelet scattering."""

from __future__ import annotations

import torch

from ansnet.testing import Sample
from wild.causes import OLD_STYLE
from wild.entry import Wild

REQUIREMENT = "kymatio==0.3.0"


def functions() -> list[Wild]:
    """The modulus of complex numbers, whose parts are the last axis."""
    from kymatio.backend.torch_backend import ModulusStable

    x = torch.tensor([[[-1.2, 0.3], [0.9, 2.4]], [[0.5, 0.1], [-0.2, -0.7]]], dtype=torch.float64)
    return [
        Wild(
            "kymatio.backend.torch_backend:ModulusStable",
            ModulusStable.apply,
            [Sample(x.requires_grad_())],
            lambda x: torch.linalg.vector_norm(x, dim=-1),
            judged=OLD_STYLE,
        )
    ]
