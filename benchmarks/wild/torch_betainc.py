"""torch-betainc: the regularized incomplete beta function."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import LOOKS_AT_NUMBERS, NEEDLESS, OLD_STYLE, rows
from wild.entry import Wild, by_design, defect

REQUIREMENT = "torch-betainc==0.2.1"


def functions() -> list[Wild]:
    """I_x(a, b), beside ∫ t^{a−1} (1 − t)^{b−1} dt / B(a, b) by quadrature."""
    from torch_betainc import betainc

    a = torch.tensor([2.3, 3.5, 4.2], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([3.1, 2.4, 2.8], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([0.3, 0.55, 0.8], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "torch_betainc.betainc:Betainc",
            betainc,
            [Sample(a, b, x)],
            _incomplete_beta,
            options={"atol": 1e-8, "rtol": 1e-8},
            judged={
                **OLD_STYLE,
                "finite far away": by_design("It is defined for a and b above 0, and x from 0 to 1."),
                "needless work": NEEDLESS,
                **rows(
                    LOOKS_AT_NUMBERS,
                    "one tensor in two places",
                    "compile",
                    "compile dynamic shapes",
                    "export",
                    "meta",
                    "fake tensors",
                ),
                **rows(
                    defect(
                        "The gradients of a and b are off by up to 1e-3 of their size, in "
                        "float64 as well."
                    ),
                    "gradients",
                    "non finite values",
                ),
                **rows(
                    defect(
                        "Under autocast the forward raises an error: numbers of two dtypes "
                        "are put into one tensor."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "accuracy": by_design(
                    "In float32 a continued fraction ends up some roundings further "
                    "away than a sum of positive terms."
                ),
            },
        )
    ]


def _incomplete_beta(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """By Gauss and Legendre's quadrature of 160 points in u, with t = x sin²(π u / 2)²: smooth at 0."""
    matrix = torch.zeros(160, 160, dtype=torch.float64)
    k = torch.arange(1, 160, dtype=torch.float64)
    off = k / torch.sqrt(4 * k**2 - 1)
    matrix += torch.diag(off, 1) + torch.diag(off, -1)
    nodes, vectors = torch.linalg.eigh(matrix)
    weights = (vectors[0] ** 2).to(x)
    u = ((nodes + 1) / 2).to(x)
    t = x[..., None] * u**4
    density = t ** (a[..., None] - 1) * (1 - t) ** (b[..., None] - 1) * 4 * u**3 * x[..., None]
    normalizer = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    return (weights * density).sum(-1) / normalizer.exp()
