"""torchdiffeq: ordinary differential equations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import LOOKS_AT_NUMBERS, NEEDLESS, OLD_STYLE, SECOND_DERIVATIVE, rows
from wild.entry import Wild, by_design, defect

REQUIREMENT = "torchdiffeq==0.2.5"


def functions() -> list[Wild]:
    """The adjoint method, on ẋ = a sin x + t."""
    from torchdiffeq import odeint_adjoint

    x = torch.tensor([0.2, 0.9], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([0.6, 1.3], dtype=torch.float64, requires_grad=True)

    def evolved(x: Tensor, a: Tensor) -> Any:
        def f(t: Tensor, x: Tensor) -> Tensor:
            return a * torch.sin(x) + t

        t = torch.tensor([0.0, 1.0]).to(x)
        options = {"rtol": 1e-8, "atol": 1e-8}
        return odeint_adjoint(f, x, t, method="dopri5", adjoint_params=(a,), **options)[1]

    return [
        Wild(
            "torchdiffeq._impl.adjoint:OdeintAdjointMethod",
            evolved,
            [Sample(x, a)],
            _runge_kutta,
            options={"atol": 1e-6, "rtol": 1e-6},
            judged={
                **OLD_STYLE,
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
                "gradgradcheck": SECOND_DERIVATIVE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: they are "
                    "copied into a tensor without a batch."
                ),
                **rows(
                    by_design("Tolerances of 1e-8 are not to be met in lower precision."),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "accuracy": by_design("The solver's tolerance is the larger error."),
                "finite far away": by_design(
                    "Where the right side is a thousand times as steep, no step is small enough for "
                    "its tolerances, which an assertion tells."
                ),
                "non finite values": by_design(
                    "A NaN ends the choice of a step, which an assertion tells."
                ),
            },
        ),
    ]


def _runge_kutta(x: Tensor, a: Tensor) -> Tensor:
    """The solution at 1 of ẋ = a sin x + t, by 20 steps of the classical method."""

    def f(t: float, x: Tensor) -> Tensor:
        return a * torch.sin(x) + t

    h = 1 / 20
    for step in range(20):
        t = step * h
        k1 = f(t, x)
        k2 = f(t + h / 2, x + h / 2 * k1)
        k3 = f(t + h / 2, x + h / 2 * k2)
        k4 = f(t + h, x + h * k3)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x
