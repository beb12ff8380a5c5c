"""torch-dxdt: derivatives of noisy series."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import LOOKS_AT_NUMBERS, OLD_STYLE, SINGLE_GRADIENT, rows
from wild.entry import Wild

REQUIREMENT = "torch-dxdt==0.1.1"


def functions() -> list[Wild]:
    """Whittaker and Eilers' smoother: (1 + λ DᵀD)⁻¹ x, with second differences D."""
    from torch_dxdt.whittaker import WhittakerFunction

    x = torch.tensor([[0.3, -0.2, 1.1, 0.4, -0.9], [1.2, 0.7, -0.4, 0.1, 0.6]], dtype=torch.float64)
    return [
        Wild(
            "torch_dxdt.whittaker:WhittakerFunction",
            WhittakerFunction.apply,
            [Sample(x.requires_grad_(), 1.7, 2)],
            _smoothed,
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                **rows(
                    LOOKS_AT_NUMBERS,
                    "one tensor in two places",
                    "compile",
                    "compile dynamic shapes",
                    "export",
                    "meta",
                    "fake tensors",
                ),
            },
        )
    ]


def _smoothed(x: Tensor, strength: float, order: int) -> Tensor:
    identity = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    d = identity.diff(n=order, dim=0)
    return torch.linalg.solve(identity + strength * d.mT @ d, x.mT).mT
