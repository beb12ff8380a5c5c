"""Zuko: normalizing flows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild

REQUIREMENT = "zuko==1.6.0"


def functions() -> list[Wild]:
    """An inverse by bisection, an integral, and an ordinary differential equation."""
    from zuko import utils

    y = torch.tensor([[-1.2, 0.3], [0.9, 2.4]], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([0.6, 1.3], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([0.2, 0.9], dtype=torch.float64, requires_grad=True)

    def inverse(y: Tensor, a: Tensor) -> Any:
        return utils.bisection(lambda x: a * x + x**3, y, -5.0, 5.0, n=60, phi=(a,))

    def integral(a: Tensor, b: Tensor, phi: Tensor) -> Any:
        return utils.gauss_legendre(lambda x: torch.sin(phi * x), a, b, n=12, phi=(phi,))

    def evolved(x: Tensor, a: Tensor) -> Any:
        return utils.odeint(
            lambda t, x: a * torch.sin(x) + t, x, 0.0, 1.0, phi=(a,), atol=1e-8, rtol=1e-8
        )

    return [
        Wild("zuko.utils:Bisection", inverse, [Sample(y, a)], _cubic_inverse),
        Wild(
            "zuko.utils:GaussLegendre",
            integral,
            [Sample(a, b, torch.tensor(1.4, dtype=torch.float64, requires_grad=True))],
            lambda a, b, phi: (torch.cos(phi * a) - torch.cos(phi * b)) / phi,
        ),
        Wild(
            "zuko.utils:AdaptiveCheckpointAdjoint",
            evolved,
            [Sample(b, a)],
            _runge_kutta,
            options={"atol": 1e-6, "rtol": 1e-6},
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
