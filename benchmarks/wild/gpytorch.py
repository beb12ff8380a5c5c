"""GPyTorch: Gaussian processes."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import (
    LOOKS_AT_NUMBERS,
    NEEDLESS,
    OLD_STYLE,
    ON_CTX,
    SECOND_DERIVATIVE,
    SINGLE_GRADIENT,
    UNDER_AUTOCAST,
    rows,
)
from wild.entry import Wild, by_design, defect

REQUIREMENT = "gpytorch==1.15.2"
NEEDS = ("linear_operator==0.6.1",)


def functions() -> list[Wild]:
    """Covariances, the logarithm of the normal distribution, and variational distributions."""
    from gpytorch import functions as gpytorch_functions
    from gpytorch.variational import large_batch_variational_strategy as large_batch
    from gpytorch.variational import natural_variational_distribution as natural
    from gpytorch.variational import variational_strategy

    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    x1, x2 = random(4, 2), random(3, 2)
    lengthscale = torch.tensor([[0.8]], dtype=torch.float64, requires_grad=True)
    root = random(3, 3)
    positive = root @ root.mT + torch.eye(3, dtype=torch.float64)
    z = torch.tensor([[-3.0, -1.5, -0.5], [0.1, 0.4, 2.0]], dtype=torch.float64, requires_grad=True)
    triangle = torch.linalg.cholesky(positive)
    return [
        Wild(
            "gpytorch.functions._log_normal_cdf:LogNormalCDF",
            gpytorch_functions.log_normal_cdf,
            [Sample(z)],
            torch.special.log_ndtr,
            options={"atol": 1e-6, "rtol": 1e-6},
            judged={
                **OLD_STYLE,
                **ON_CTX,
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
                        "Between −1 and about −5 the logarithm is off by up to 0.0019, "
                        "with a jump at −1: the series for large arguments begins too "
                        "early."
                    ),
                    "forward",
                    "gradients",
                    "non finite values",
                ),
                "gradgradcheck": SECOND_DERIVATIVE,
            },
        ),
        Wild(
            "gpytorch.functions.rbf_covariance:RBFCovariance",
            lambda x1, x2, scale: gpytorch_functions.RBFCovariance.apply(
                x1, x2, scale, _square_distances
            ),
            [Sample(x1, x2, lengthscale)],
            lambda x1, x2, scale: (-_square_distances(x1 / scale, x2 / scale) / 2).exp(),
            judged={**OLD_STYLE, "gradgradcheck": SECOND_DERIVATIVE},
        ),
        Wild(
            "gpytorch.functions.matern_covariance:MaternCovariance",
            lambda x1, x2, scale, nu: gpytorch_functions.MaternCovariance.apply(
                x1, x2, scale, nu, _distances
            ),
            [Sample(x1, x2, lengthscale, nu) for nu in (0.5, 1.5, 2.5)],
            _matern,
            judged={
                **OLD_STYLE,
                "gradgradcheck": SECOND_DERIVATIVE,
                "finite far away": by_design("A length scale is above 0."),
            },
        ),
        Wild(
            "gpytorch.variational.large_batch_variational_strategy:QuadFormDiagonal",
            lambda a, b: large_batch.QuadFormDiagonal.apply(_symmetric(a), b),
            [Sample(positive.clone().requires_grad_(), random(3, 4).requires_grad_())],
            lambda a, b: (b * (_symmetric(a) @ b)).sum(-2),
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                "needless work": NEEDLESS,
                "gradgradcheck": SECOND_DERIVATIVE,
            },
        ),
        Wild(
            "gpytorch.variational.variational_strategy:ComputePredictiveUpdates",
            lambda triangle, covariance, middle, values: (
                variational_strategy.ComputePredictiveUpdates.apply(
                    triangle, covariance, _symmetric(middle), values
                )
            ),
            [
                Sample(
                    triangle.clone().requires_grad_(),
                    random(3, 4).requires_grad_(),
                    positive.clone().requires_grad_(),
                    random(3).requires_grad_(),
                )
            ],
            _predictive_updates,
            judged={**OLD_STYLE, "needless work": NEEDLESS, "gradgradcheck": SECOND_DERIVATIVE},
        ),
        Wild(
            "gpytorch.variational.natural_variational_distribution:_NaturalToMuVarSqrt",
            natural._NaturalToMuVarSqrt.apply,
            [Sample(random(3).requires_grad_(), (-positive / 2).requires_grad_())],
            _of_natural,
            _of_expectations,
            judged={
                **OLD_STYLE,
                **UNDER_AUTOCAST,
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
            },
        ),
    ]


def _symmetric(a: Tensor) -> Tensor:
    return (a + a.mT) / 2


def _square_distances(x1: Tensor, x2: Tensor) -> Tensor:
    return ((x1[..., :, None, :] - x2[..., None, :, :]) ** 2).sum(-1)


def _distances(x1: Tensor, x2: Tensor) -> Tensor:
    return _square_distances(x1, x2).sqrt()


def _matern(x1: Tensor, x2: Tensor, lengthscale: Tensor, nu: float) -> Tensor:
    d = math.sqrt(2 * nu) * _distances(x1, x2) / lengthscale
    polynomial: Any = {0.5: 1.0, 1.5: 1 + d, 2.5: 1 + d + d**2 / 3}[nu]
    return polynomial * torch.exp(-d)


def _predictive_updates(
    triangle: Tensor, covariance: Tensor, middle: Tensor, values: Tensor
) -> tuple[Tensor, Tensor]:
    term = torch.linalg.solve_triangular(triangle, covariance, upper=False)
    return (term.mT @ values[..., None]).squeeze(-1), (term * (_symmetric(middle) @ term)).sum(-2)


def _of_natural(mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the Cholesky factor for θ₁ = S⁻¹ μ and θ₂ = −S⁻¹ / 2."""
    s = torch.linalg.inv(-2 * covariance)
    return (s @ mean[..., None]).squeeze(-1), torch.linalg.cholesky(s)


def _of_expectations(mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """The same, with derivatives by the expectations η₁ = μ and η₂ = μ μᵀ + S: natural gradients."""
    with torch.no_grad():
        mu, factor = _of_natural(mean, covariance)
    eta1 = mu + mean - mean.detach()
    outer = mu[..., None] * mu[..., None, :]
    eta2 = outer + factor @ factor.mT + covariance - covariance.detach()
    return eta1, torch.linalg.cholesky(eta2 - eta1[..., None] * eta1[..., None, :])
