"""DeepInverse: imaging inverse problems."""

from __future__ import annotations

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
    rows,
)
from wild.entry import Wild, by_design, defect

REQUIREMENT = "deepinv==0.5.0"
NEEDS = ("h5py==3.16.0", "natsort==8.4.0", "requests==2.34.2", "tqdm==4.70.1")


def functions() -> list[Wild]:
    """Learnable splines, the Radon transform, and its adjoint."""
    from deepinv.models.deal import LinearSplineFunc, QuadraticSplineFunc
    from deepinv.physics.functional.radon import ApplyRadon, IRadon, Radon

    x = torch.tensor([[-0.7, 0.15], [0.45, 0.9]], dtype=torch.float64).view(2, 2, 1, 1, 1)
    coefficients = torch.tensor([[0.3, -0.2, 0.8, 0.1, 0.5], [0.6, 0.2, -0.4, 0.9, 0.7]]).double()
    low, high = torch.tensor(-1.0).double(), torch.tensor(1.0).double()
    first = torch.tensor([0, 5])
    theta = torch.tensor([0.0, 30.0, 75.0])
    options: dict[str, Any] = {"in_size": 4, "theta": theta, "circle": False}
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 1, 4, 4, dtype=torch.float64, generator=generator)

    def spline(function: Any, x: Tensor, coefficients: Tensor) -> Any:
        return function.apply(x, coefficients, low.to(x), high.to(x), 5, first)

    def projected(x: Tensor) -> Any:
        radon, adjoint = (kind(**options, dtype=x.dtype) for kind in (Radon, IRadon))
        return ApplyRadon.apply(x, radon, adjoint, False)

    return [
        Wild(
            "deepinv.models.deal:LinearSplineFunc",
            lambda x, coefficients: spline(LinearSplineFunc, x, coefficients),
            [Sample(x.clone().requires_grad_(), coefficients.clone().requires_grad_())],
            _linear_spline,
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                "needless work": NEEDLESS,
                "gradgradcheck": SECOND_DERIVATIVE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: they are "
                    "added in place into a tensor without a batch."
                ),
                **rows(
                    LOOKS_AT_NUMBERS,
                    "one tensor in two places",
                    "compile",
                    "compile dynamic shapes",
                    "export",
                    "meta",
                ),
                **rows(
                    defect(
                        "The backward raises an error for tensors that are transposed or "
                        "sliced: they are viewed as one line."
                    ),
                    "strided views",
                    "expanded views",
                ),
            },
        ),
        Wild(
            "deepinv.models.deal:QuadraticSplineFunc",
            lambda x, coefficients: spline(QuadraticSplineFunc, x, coefficients),
            [Sample(x.clone().requires_grad_(), coefficients.clone().requires_grad_())],
            _quadratic_spline,
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                "needless work": NEEDLESS,
                "gradgradcheck": SECOND_DERIVATIVE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: they are "
                    "added in place into a tensor without a batch."
                ),
                **rows(
                    LOOKS_AT_NUMBERS,
                    "one tensor in two places",
                    "compile",
                    "compile dynamic shapes",
                    "export",
                    "meta",
                ),
                **rows(
                    defect(
                        "The backward raises an error for tensors that are transposed or "
                        "sliced: they are viewed as one line."
                    ),
                    "strided views",
                    "expanded views",
                ),
            },
        ),
        Wild(
            "deepinv.physics.functional.radon:ApplyRadon",
            projected,
            [Sample(image.requires_grad_())],
            lambda x: Radon(**options, dtype=x.dtype)(x),
            judged={
                **SINGLE_GRADIENT,
                **ON_CTX,
                "gradgradcheck": SECOND_DERIVATIVE,
                **rows(
                    by_design(
                        "The adjoint is that of a continuous transform, with errors by "
                        "interpolation, as is documented; an exact one can be asked for."
                    ),
                    "gradients",
                    "gradcheck",
                    "non finite values",
                    "uses its arguments",
                    "dtypes",
                ),
                **rows(
                    defect(
                        "`torch.vmap`, and `jacrev`, which uses it, raise an error: no "
                        "rule for it is stated."
                    ),
                    "vmap",
                    "per sample gradients",
                    "gradient through vmap",
                    "compiled transformations",
                ),
                "accuracy": defect("Raises an error in bfloat16: the grid is computed in float32."),
            },
        ),
    ]


def _places(x: Tensor, knots: int, left_out: int) -> tuple[Tensor, Tensor]:
    """Which knot lies left of each number, and how far, in steps, on [−1, 1]."""
    steps = (x + 1) / (2 / (knots - 1))
    number = steps.detach().floor().clamp(0, knots - 1 - left_out).long()
    return number, steps - number


def _taken(coefficients: Tensor, number: Tensor) -> Tensor:
    """Each channel's coefficients."""
    channels = torch.arange(coefficients.shape[0]).view(1, -1, 1, 1, 1)
    return coefficients[channels, number]


def _linear_spline(x: Tensor, coefficients: Tensor) -> Tensor:
    number, share = _places(x, coefficients.shape[1], 1)
    return _taken(coefficients, number) * (1 - share) + _taken(coefficients, number + 1) * share


def _quadratic_spline(x: Tensor, coefficients: Tensor) -> Tensor:
    number, s = _places(x, coefficients.shape[1], 2)
    weights = (1 - s) ** 2 / 2, (1 + 2 * s - 2 * s**2) / 2, s**2 / 2
    terms = [_taken(coefficients, number + i) * weight for i, weight in enumerate(weights)]
    return terms[0] + terms[1] + terms[2]
