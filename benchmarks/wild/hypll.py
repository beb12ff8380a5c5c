"""HypLL: hyperbolic learning."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild

REQUIREMENT = "hypll==0.1.1"


def functions() -> list[Wild]:
    """The Fréchet mean of points of the Poincaré ball (Lou et al. 2020)."""
    from hypll.manifolds.poincare_ball.math.stats import frechet_mean

    x = torch.tensor([[0.3, -0.2], [0.1, 0.4], [-0.25, 0.15]], dtype=torch.float64, requires_grad=True)
    c = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "hypll.manifolds.poincare_ball.math.stats:FrechetMean",
            lambda x, c: frechet_mean(x, c),
            [Sample(x, c)],
            _frechet_mean,
            options={"atol": 1e-6, "rtol": 1e-6},
        )
    ]


def _frechet_mean(x: Tensor, c: Tensor) -> Tensor:
    """The point of least squared distances, by Newton's method; the last steps are recorded."""

    def gradient_and_hessian(y: Tensor) -> tuple[Tensor, Tensor]:
        def distances(y: Tensor) -> Tensor:
            squared = ((x - y) ** 2).sum(-1)
            room = (1 - c * (x**2).sum(-1)) * (1 - c * (y**2).sum(-1))
            return (torch.acosh(1 + 2 * c * squared / room) ** 2).sum() / c

        return torch.func.grad(distances)(y), torch.func.jacrev(torch.func.grad(distances))(y)

    y = x.mean(0)
    for step in range(12):
        gradient, hessian = gradient_and_hessian(y)
        y = y - torch.linalg.solve(hessian, gradient)
        if step < 9:
            y = y.detach()
    return y
