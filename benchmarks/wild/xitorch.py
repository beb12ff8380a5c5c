"""xitorch: scientific computing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import LOOKS_AT_NUMBERS, OLD_STYLE, SINGLE_GRADIENT, UNPACKED_TWICE, not_traced, rows
from wild.entry import Wild, by_design, defect

REQUIREMENT = "xitorch==0.5.1"


def functions() -> list[Wild]:
    """A linear solve, eigenvalues, an integral and a root."""
    from xitorch import LinearOperator, integrate, linalg, optimize

    a = torch.tensor([[2.0, 0.4, 0.1], [0.4, 1.1, -0.3], [0.1, -0.3, 0.7]], dtype=torch.float64)
    b = torch.tensor([[0.3, -1.2], [0.7, 0.4], [-0.5, 0.9]], dtype=torch.float64, requires_grad=True)
    low, high, phi = (
        torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in (0.3, 1.7, 1.4)
    )
    y = torch.tensor([-1.2, 0.4, 2.3], dtype=torch.float64, requires_grad=True)

    def solve(a: Tensor, b: Tensor) -> Any:
        return linalg.solve(LinearOperator.m(a, is_hermitian=False), b)

    def eigenvalues(a: Tensor) -> Any:
        symmetric = (a + a.mT) / 2
        return linalg.symeig(LinearOperator.m(symmetric, is_hermitian=True))[0]

    def integral(low: Tensor, high: Tensor, phi: Tensor) -> Any:
        return integrate.quad(lambda x, phi: torch.sin(phi * x), low, high, params=(phi,), n=20)

    def root(y: Tensor, phi: Tensor) -> Any:
        return optimize.rootfinder(
            lambda x, y, phi: phi * x + x**3 - y,
            torch.zeros_like(y),
            params=(y, phi),
            f_tol=1e-13,
            x_tol=1e-13,
        )

    return [
        Wild(
            "xitorch.linalg.solve:solve_torchfcn",
            solve,
            [Sample(a.clone().requires_grad_(), b)],
            torch.linalg.solve,
            judged={
                **not_traced(
                    "Dynamo does not trace the package's operators and options.",
                    "compile dynamic shapes",
                )
            },
        ),
        Wild(
            "xitorch.linalg.symeig:symeig_torchfcn",
            eigenvalues,
            [Sample(a.clone().requires_grad_())],
            lambda a: torch.linalg.eigvalsh((a + a.mT) / 2),
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                **rows(LOOKS_AT_NUMBERS, "export", "meta", "fake tensors"),
                **not_traced("Dynamo does not trace the package's operators and options."),
                "batched gradients": defect("Batched gradients (`is_grads_batched`) raise an error."),
            },
        ),
        Wild(
            "xitorch.integrate.quad:_Quadrature",
            integral,
            [Sample(low, high, phi)],
            lambda low, high, phi: (torch.cos(phi * low) - torch.cos(phi * high)) / phi,
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                "checkpoint": UNPACKED_TWICE,
                **rows(LOOKS_AT_NUMBERS, "export", "meta", "fake tensors"),
                **not_traced("Dynamo does not trace the package's operators and options."),
                **rows(
                    defect("The backward raises an error where a parameter is a constant."),
                    "subsets of gradients",
                    "needless work",
                ),
                "batched gradients": defect("Batched gradients (`is_grads_batched`) raise an error."),
                **rows(
                    by_design("The nodes are too few for a long interval."),
                    "accuracy",
                    "finite far away",
                ),
            },
        ),
        Wild(
            "xitorch.optimize.rootfinder:_RootFinder",
            root,
            [Sample(y, phi)],
            _cubic_root,
            options={"atol": 1e-6, "rtol": 1e-6},
            judged={
                **OLD_STYLE,
                "checkpoint": UNPACKED_TWICE,
                **rows(
                    LOOKS_AT_NUMBERS,
                    "one tensor in two places",
                    "compile",
                    "compile dynamic shapes",
                    "export",
                    "meta",
                    "fake tensors",
                ),
                "needless work": defect(
                    "The backward raises an error where a parameter is a constant."
                ),
                "accuracy": by_design("The root finder's tolerance is the larger error."),
                "finite far away": by_design("A root finder that starts far away need not arrive."),
                "non finite values": by_design(
                    "One system of equations is solved: a NaN in one is a NaN in all."
                ),
                **rows(
                    defect("Raises an error for an empty tensor."),
                    "zero size batch",
                    "second derivative of empty batches",
                ),
                **rows(
                    defect("Under autocast it raises an error: vectors of two dtypes meet."),
                    "autocast bfloat16",
                    "autocast float16",
                ),
            },
        ),
    ]


def _cubic_root(y: Tensor, a: Tensor) -> Tensor:
    """The x with a x + x³ = y, by Newton's method; the last two steps carry the derivatives."""
    with torch.no_grad():
        x = torch.zeros_like(y + a)
        for _ in range(40):
            x = x - (a * x + x**3 - y) / (a + 3 * x**2)
    for _ in range(2):
        x = x - (a * x + x**3 - y) / (a + 3 * x**2)
    return x
