"""Zuko: normalizing flows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import OLD_STYLE, ONCE, not_traced, rows
from wild.entry import Wild, by_design, defect

REQUIREMENT = "zuko==1.6.0"


def functions() -> list[Wild]:
    """An inverse by bisection, and an integral."""
    from zuko import utils

    y = torch.tensor([[-1.2, 0.3], [0.9, 2.4]], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([0.6, 1.3], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([0.2, 0.9], dtype=torch.float64, requires_grad=True)

    def inverse(y: Tensor, a: Tensor) -> Any:
        return utils.bisection(lambda x: a * x + x**3, y, -5.0, 5.0, n=60, phi=(a,))

    def integral(a: Tensor, b: Tensor, phi: Tensor) -> Any:
        return utils.gauss_legendre(lambda x: torch.sin(phi * x), a, b, n=12, phi=(phi,))

    return [
        Wild(
            "zuko.utils:Bisection",
            inverse,
            [Sample(y, a)],
            _cubic_inverse,
            judged={
                **OLD_STYLE,
                "finite far away": by_design("The inverse is looked for within stated bounds."),
                "gradgradcheck": ONCE,
                **not_traced(
                    "Dynamo traces no `torch.autograd.grad` within a backward, and no cache of nodes."
                ),
                **rows(
                    defect(
                        "The backward raises an error where one of the parameters in phi "
                        "does not require grad, as a frozen one."
                    ),
                    "subsets of gradients",
                    "needless work",
                ),
                **rows(
                    by_design(
                        "The output has the input's dtype; the power in the reference is "
                        "computed in float32."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "non finite values": defect(
                    "A NaN comes out as a finite number, an end of the bracket."
                ),
            },
        ),
        Wild(
            "zuko.utils:GaussLegendre",
            integral,
            [Sample(a, b, torch.tensor(1.4, dtype=torch.float64, requires_grad=True))],
            lambda a, b, phi: (torch.cos(phi * a) - torch.cos(phi * b)) / phi,
            judged={
                **OLD_STYLE,
                "gradgradcheck": ONCE,
                **not_traced(
                    "Dynamo traces no `torch.autograd.grad` within a backward, and no cache of nodes."
                ),
                **rows(
                    defect(
                        "The backward raises an error where one of the parameters in phi "
                        "does not require grad, as a frozen one."
                    ),
                    "subsets of gradients",
                    "needless work",
                ),
                **rows(
                    defect(
                        "Raises an error under autocast, where the ends of the interval "
                        "come in two dtypes."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                **rows(
                    by_design("The nodes are too few for a long interval."),
                    "accuracy",
                    "finite far away",
                ),
            },
        ),
    ]


def _cubic_inverse(y: Tensor, a: Tensor) -> Tensor:
    """The x with a x + x³ = y, by Newton's method; the last two steps carry the derivatives."""
    with torch.no_grad():
        x = torch.zeros_like(y + a)
        for _ in range(40):
            x = x - (a * x + x**3 - y) / (a + 3 * x**2)
    for _ in range(2):
        x = x - (a * x + x**3 - y) / (a + 3 * x**2)
    return x
