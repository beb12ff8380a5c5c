"""Surrogate gradients of snnTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ansnet.testing import CAPABILITIES, Sample
from wild.entry import Judgement, Wild, defect
from wild.shared.judgements import (
    ALWAYS_SINGLE,
    OLD_STYLE,
    of,
    without_values,
)

REQUIREMENT = "snntorch==1.0.0"


# rows that need no backward, or do not apply
NO_BACKWARD = (
    "export",
    "channels last",
    "strided views",
    "expanded views",
    "negative views",
    "without gradients",
    "pickle and copy",
    "devices",
)
WITH_BACKWARD = [name for name in CAPABILITIES if name not in NO_BACKWARD]
DTYPES = {"gradient dtypes": ALWAYS_SINGLE["forward"]}
OWN: dict[str, dict[str, Judgement]] = {
    "StraightThroughEstimator": DTYPES,
    "Heaviside": DTYPES,
    "Triangular": {**DTYPES, **without_values("the backward assigns by a mask.")},
    "Sigmoid": of(
        defect("The gradient is NaN where slope · potential is so low that its exponential overflows."),
        "accuracy",
        "finite far away",
    ),
    "LeakySpikeOperator": of(
        defect("Each backward raises: it returns one gradient for the two inputs."),
        *WITH_BACKWARD,
    ),
}


def heaviside(x: Tensor, *parameters: Any) -> Tensor:
    """A spike where the membrane potential is above the threshold, in the potential's dtype."""
    return (x > 0).to(x)


def integral_of_fast_sigmoid(x: Tensor, slope: float) -> Tensor:
    """Its derivative is 1/(1 + slope·|x|)²."""
    return x / (1 + slope * x.abs())


def functions() -> list[Wild]:
    """Those of `snntorch.surrogate` that take their surrogate gradient without chance."""
    from snntorch import surrogate

    x = torch.tensor([[-1.4, -0.7, -0.2], [0.3, 0.8, 1.7]], dtype=torch.float64, requires_grad=True)
    named: list[tuple[str, tuple[Any, ...], Callable[..., Tensor]]] = [
        ("StraightThroughEstimator", (), lambda x: x),
        ("Triangular", (0.5,), lambda x, threshold: -threshold * x.abs()),
        ("FastSigmoid", (2.5,), integral_of_fast_sigmoid),
        ("ATan", (2.0,), lambda x, alpha: (math.pi / 2 * alpha * x).atan() / math.pi),
        ("Heaviside", (), lambda x: x.relu()),
        ("Sigmoid", (2.5,), lambda x, slope: (slope * x).sigmoid()),
        (
            "SpikeRateEscape",
            (1.0, 2.5),
            lambda x, beta, slope: slope / beta * (x - 1).sign() * (1 - (-beta * (x - 1).abs()).exp()),
        ),
        (
            "LeakySpikeOperator",
            (0.1,),
            lambda x, slope: torch.nn.functional.leaky_relu(x, slope),
        ),
        (
            "SparseFastSigmoid",
            (2.5, 0.5),
            lambda x, slope, bound: torch.where(x > bound, integral_of_fast_sigmoid(x, slope), 0),
        ),
    ]
    return [
        Wild(
            f"snntorch.surrogate:{name}",
            getattr(surrogate, name).apply,
            [Sample(x, *parameters)],
            heaviside,
            derivative,
            judged={**OLD_STYLE, **ALWAYS_SINGLE, **OWN.get(name, {})},
        )
        for name, parameters, derivative in named
    ]
