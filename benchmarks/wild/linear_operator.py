"""LinearOperator: matrices that need not be stored, for GPyTorch."""

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
    UNDER_AUTOCAST,
    UNPACKED_TWICE,
    not_traced,
    rows,
)
from wild.entry import Wild, by_design, defect

REQUIREMENT = "linear_operator==0.6.1"
ROUNDED_OTHERWISE = by_design(
    "In float32, matrices near a singular one are solved by Cholesky factors, with up to six times "
    "the error of the LU factors that PyTorch solves with."
)


def functions() -> list[Wild]:
    """Products and solves with a positive definite matrix, and quadratic forms of its inverse."""
    from linear_operator import to_linear_operator
    from linear_operator.functions._inv_quad import InvQuad
    from linear_operator.functions._matmul import Matmul
    from linear_operator.functions._solve import Solve

    a = torch.tensor([[2.0, 0.4, 0.1], [0.4, 1.1, -0.3], [0.1, -0.3, 0.7]], dtype=torch.float64)
    a.requires_grad_()
    b = torch.tensor([[0.3, -1.2], [0.7, 0.4], [-0.5, 0.9]], dtype=torch.float64, requires_grad=True)
    tree = to_linear_operator(a.detach()).representation_tree()

    def symmetric(a: Tensor) -> Tensor:
        return (a + a.mT) / 2

    def multiply(a: Tensor, b: Tensor) -> Any:
        return Matmul.apply(tree, b, a)

    def solve(a: Tensor, b: Tensor) -> Any:
        return Solve.apply(tree, False, b, symmetric(a))

    def quadratic(a: Tensor, b: Tensor) -> Any:
        return InvQuad.apply(tree, b, symmetric(a))

    return [
        Wild(
            "linear_operator.functions._matmul:Matmul",
            multiply,
            [Sample(a, b)],
            torch.matmul,
            judged={**OLD_STYLE, "checkpoint": UNPACKED_TWICE, **UNDER_AUTOCAST},
        ),
        Wild(
            "linear_operator.functions._solve:Solve",
            solve,
            [Sample(a, b)],
            lambda a, b: torch.linalg.solve(symmetric(a), b),
            judged={
                **OLD_STYLE,
                **ON_CTX,
                **rows(LOOKS_AT_NUMBERS, "export", "meta", "fake tensors"),
                **not_traced("Dynamo does not trace the operators' cache."),
                **rows(
                    defect(
                        "Under autocast it raises an error: no Cholesky decomposition in "
                        "lower precision."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "non finite values": by_design("A NaN is refused on purpose, by an error of its own."),
                "accuracy": ROUNDED_OTHERWISE,
                "finite far away": by_design(
                    "Matrices moved so far are not positive definite, which it refuses."
                ),
            },
        ),
        Wild(
            "linear_operator.functions._inv_quad:InvQuad",
            quadratic,
            [Sample(a, b)],
            lambda a, b: (b * torch.linalg.solve(symmetric(a), b)).sum(-2),
            judged={
                **OLD_STYLE,
                **ON_CTX,
                "needless work": NEEDLESS,
                **rows(LOOKS_AT_NUMBERS, "export", "meta", "fake tensors"),
                "gradgradcheck": SECOND_DERIVATIVE,
                **not_traced("Dynamo does not trace the operators' cache."),
                **rows(
                    defect(
                        "Under autocast it raises an error: no Cholesky decomposition in "
                        "lower precision."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "non finite values": by_design("A NaN is refused on purpose, by an error of its own."),
                "accuracy": ROUNDED_OTHERWISE,
                "finite far away": by_design(
                    "Matrices moved so far are not positive definite, which it refuses."
                ),
            },
        ),
    ]
