"""torch-interpol: interpolation by splines."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import NEEDLESS, OLD_STYLE, SECOND_DERIVATIVE, SINGLE_GRADIENT, not_traced, rows
from wild.entry import Wild, by_design, defect

REQUIREMENT = "torch-interpol==0.3.0"


def functions() -> list[Wild]:
    """An image read at points between its pixels, and the coefficients of a cubic spline."""
    import interpol

    image = torch.tensor([[0.3, -1.2, 0.7, 1.4], [0.9, 0.1, -0.6, 0.5]], dtype=torch.float64)
    points = torch.tensor([0.3, 1.6, 2.2], dtype=torch.float64)

    def pull(image: Tensor, points: Tensor) -> Any:
        return interpol.grid_pull(image[None], points[:, None], interpolation=1, bound="zero")[0]

    def coefficients(image: Tensor) -> Any:
        return interpol.spline_coeff(image, interpolation=3, bound="dct2", dim=-1)

    return [
        Wild(
            "interpol.autograd:GridPull",
            pull,
            [Sample(image.clone().requires_grad_(), points.requires_grad_())],
            _between,
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                "needless work": NEEDLESS,
                "gradgradcheck": SECOND_DERIVATIVE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: they are "
                    "added in place into a tensor without a batch."
                ),
                **not_traced(
                    "a check of the grid's last axis fails when sizes are symbols.",
                    "compile dynamic shapes",
                ),
                "non finite values": by_design(
                    "What the gradient at a NaN is where a function is made of pieces "
                    "is not agreed upon."
                ),
                **rows(
                    defect("Raises an error for an image without channels."),
                    "zero size batch",
                    "second derivative of empty batches",
                ),
            },
        ),
        Wild(
            "interpol.autograd:SplineCoeff",
            coefficients,
            [Sample(image.clone().requires_grad_())],
            judged={
                **OLD_STYLE,
                **rows(
                    defect(
                        "The backward raises an error, always: it returns a list, where "
                        "PyTorch takes a tuple."
                    ),
                    "gradcheck",
                    "gradgradcheck",
                    "subsets of gradients",
                    "one tensor in two places",
                    "compile",
                    "compile dynamic shapes",
                    "meta",
                    "fake tensors",
                    "autocast bfloat16",
                    "autocast float16",
                    "gradients of stride 0",
                    "strided gradients",
                    "zero size batch",
                    "second derivative of empty batches",
                    "inputs unchanged",
                    "needless work",
                    "saved tensors freed",
                    "saved tensors guarded",
                    "backward twice",
                    "no memory growth",
                    "deterministic",
                    "checkpoint",
                    "saved tensor hooks",
                    "batched gradients",
                    "gradient dtypes",
                    "linear in the upstream gradient",
                    "uses its arguments",
                    "dtypes",
                ),
            },
        ),
    ]


def _between(image: Tensor, points: Tensor) -> Tensor:
    """Linear interpolation along the last axis; 0 far outside."""
    left = points.detach().floor().long().clamp(0, image.shape[-1] - 2)
    share = points - left
    between = image[..., left] * (1 - share) + image[..., left + 1] * share
    return between.where((points > -1) & (points < image.shape[-1]), 0)
