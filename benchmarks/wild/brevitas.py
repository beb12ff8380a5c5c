"""Straight-through estimators of Brevitas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild
from wild.shared.judgements import (
    AT_NAN,
    OLD_STYLE,
    SINGLE_GRADIENT,
)

REQUIREMENT = "brevitas==0.13.4"
NEEDS = ("packaging==26.4",)

FORWARDS: list[tuple[str, tuple[Any, ...], Callable[..., Tensor]]] = [
    ("ScalarClampSteFn", (-0.9, 0.9), torch.clamp),
    ("ScalarClampMinSteFn", (-0.9,), torch.clamp_min),
    ("TensorClampSteFn", (torch.tensor(-0.9).double(), torch.tensor(0.9).double()), torch.clamp),
    ("RoundToZeroSteFn", (), torch.trunc),
    ("CeilSteFn", (), torch.ceil),
    ("FloorSteFn", (), torch.floor),
    ("BinarySignSteFn", (), lambda x: torch.where(x >= 0, 1.0, -1.0).to(x)),
    ("TernarySignSteFn", (), torch.sign),
    ("RoundSteFn", (), torch.round),
    (
        "DPURoundSteFn",
        (),
        lambda x: torch.where((x < 0) & (x - x.floor() == 0.5), x.ceil(), x.round()),
    ),
]


def functions() -> list[Wild]:
    """Those of `brevitas.ops.autograd_ste_ops`, and the absolute value with a gradient at 0."""
    from brevitas.ops import autograd_ste_ops as ops

    x = torch.tensor([[-1.4, -0.7, -0.2], [0.3, 0.8, 1.7]], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            f"brevitas.ops.autograd_ste_ops:{name}",
            getattr(ops, name).apply,
            [Sample(x, *parameters)],
            reference,
            lambda x, *parameters: x.clone(),
            judged=OLD_STYLE,
        )
        for name, parameters, reference in FORWARDS
    ] + [
        Wild(
            "brevitas.ops.autograd_ste_ops:AbsBinarySignGradFn",
            ops.AbsBinarySignGradFn.apply,
            [Sample(x)],
            torch.abs,
            judged={**OLD_STYLE, **SINGLE_GRADIENT, **AT_NAN},
        )
    ]
