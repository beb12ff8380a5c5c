"""Surrogate gradients and quantisers of SpikingJelly."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ansnet.testing import Sample
from wild.entry import Judgement, Wild, defect
from wild.shared.judgements import NO_VMAP_RULE, OLD_STYLE, of, without_values

REQUIREMENT = "spikingjelly==2.0.0"

Named = list[tuple[str, tuple[Any, ...], Callable[..., Tensor]]]


def heaviside(x: Tensor, *parameters: Any) -> Tensor:
    """A spike where the membrane potential is at the threshold, or above."""
    return (x >= 0).to(x)


def square_wave(x: Tensor, terms: int, period: float) -> Tensor:
    """The Fourier series of a square wave, cut off."""
    waves = [(odd * 2 * math.pi / period * x).sin() / odd for odd in range(1, 2 * terms - 2, 2)]
    return 2 / math.pi * torch.stack(waves).sum(0)


def s2nn(x: Tensor, alpha: float, beta: float) -> Tensor:
    """A sigmoid below 0, a logarithm above."""
    return torch.where(x < 0, (alpha * x).sigmoid(), beta * (x.clamp(0) + 1).log() + 0.5)


SURROGATES: Named = [
    (
        "piecewise_quadratic",
        (0.8,),
        lambda x, alpha: torch.where(
            x.abs() < 1 / alpha, alpha * x - alpha**2 / 2 * x * x.abs(), x.sign() / 2
        ),
    ),
    (
        "piecewise_exp",
        (1.5,),
        lambda x, alpha: x.sign() * (1 - (-alpha * x.abs()).exp()) / 2,
    ),
    ("sigmoid", (2.5,), lambda x, alpha: (alpha * x).sigmoid()),
    ("soft_sign", (2.0,), lambda x, alpha: alpha * x / (1 + (alpha * x).abs()) / 2),
    ("super_spike", (1.5,), lambda x, alpha: alpha * x / (1 + x.abs())),
    ("atan", (2.0,), lambda x, alpha: (math.pi / 2 * alpha * x).atan() / math.pi),
    ("nonzero_sign_log_abs", (1.5,), lambda x, alpha: x.sign() * (alpha * x).abs().log1p()),
    ("erf", (1.5,), lambda x, alpha: (alpha * x).erf() / 2),
    (
        "piecewise_leaky_relu",
        (1.0, 0.1),
        lambda x, w, c: torch.where(x.abs() <= w, x / (2 * w), c * x),
    ),
    ("squarewave_fourier_series", (4, 8.0), square_wave),
    ("s2nn", (4.0, 1.5), s2nn),
    (
        "q_pseudo_spike",
        (2.5,),
        lambda x, alpha: x.sign() / 2 * (1 - (1 + 2 * x.abs() / (alpha - 1)) ** (1 - alpha)),
    ),
    ("leaky_k_relu", (0.2, 1.5), lambda x, leak, k: torch.where(x >= 0, k * x, leak * x)),
    (
        "log_tailed_relu",
        (0.2,),
        lambda x, alpha: torch.where(x <= 0, alpha * x, torch.where(x <= 1, x, x.clamp(0.5).log())),
    ),
    ("rect", (0.8,), lambda x, alpha: alpha * x.clamp(-0.5 / alpha, 0.5 / alpha)),
]

QUANTISERS: list[tuple[str, tuple[Any, ...], Callable[..., Tensor], Callable[..., Tensor]]] = [
    ("RoundATGF", (), torch.round, lambda x: x),
    (
        "StepQuantizeATGF",
        (0.5,),
        lambda x, step: (x / step).round() * step,
        lambda x, step: x,
    ),
    ("ClampATGF", (-0.9, 0.9), F.hardtanh, F.hardtanh),
    (
        "KBitQuantizeATGF",
        (3,),
        lambda x, bits: (x * (2**bits - 1)).round() / (2**bits - 1),
        lambda x, bits: x,
    ),
    (
        "MultiLevelSpikeCountATGF",
        (3, -0.5, 1.0),
        lambda x, most, low, high: x.clamp(0, most).round(),
        lambda x, most, low, high: x.clamp(low, high),
    ),
]


OWN: dict[str, dict[str, Judgement]] = {
    "log_tailed_relu": without_values("the backward assigns by a mask."),
    "squarewave_fourier_series": of(
        defect("Batched gradients raise: the backward multiplies in place."), "batched gradients"
    ),
}


def functions() -> list[Wild]:
    """Those of `activation_based.surrogate`, and the quantisers."""
    from spikingjelly.activation_based import quantize, surrogate

    x = torch.tensor([[-1.4, -0.7, -0.2], [0.3, 0.8, 1.7]], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            f"spikingjelly.activation_based.surrogate:{name}",
            getattr(surrogate, name).apply,
            [Sample(x, *parameters)],
            heaviside,
            derivative,
            judged={**NO_VMAP_RULE, **OWN.get(name, {})},
        )
        for name, parameters, derivative in SURROGATES
    ] + [
        Wild(
            f"spikingjelly.activation_based.quantize:{name}",
            getattr(quantize, name).apply,
            [Sample(x, *parameters)],
            reference,
            derivative,
            judged={**OLD_STYLE, **OWN.get(name, {})},
        )
        for name, parameters, reference, derivative in QUANTISERS
    ]
