"""Spikes of Sinabs, with a surrogate gradient, and its quantiser."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild
from wild.shared.judgements import ALWAYS_SINGLE, OLD_STYLE

REQUIREMENT = "sinabs==3.1.3"
NEEDS = (
    "pbr==7.1.3",
    "matplotlib==3.11.2",
    "packaging==26.4",
    "pyparsing==3.3.3",
    "cycler==0.12.1",
    "python-dateutil==4.0.0",
    "six==1.17.0",
    "kiwisolver==1.5.1",
    "fonttools==4.68.0",
    "contourpy==1.3.3",
    "nir==1.0.8",
    "h5py==3.16.0",
    "nirtorch==2.6",
)


def exponential(v: Tensor, threshold: float) -> Tensor:
    """A surrogate gradient: e^−|v − threshold|."""
    return (-(v - threshold).abs()).exp()


def its_integral(v: Tensor, threshold: float, *others: object) -> Tensor:
    """Of `exponential`."""
    distance = v - threshold
    return distance.sign() * (1 - (-distance.abs()).exp())


def functions() -> list[Wild]:
    """Those that draw no random numbers."""
    from sinabs.activation import quantize, spike_generation

    v = torch.tensor([[-1.4, -0.7, 0.2], [0.9, 1.3, 2.7]], dtype=torch.float64, requires_grad=True)
    surrogate = {**OLD_STYLE, **ALWAYS_SINGLE}
    return [
        Wild(
            "sinabs.activation.quantize:Quantize",
            quantize.Quantize.apply,
            [Sample(v)],
            torch.floor,
            lambda v: v.clone(),
            judged=OLD_STYLE,
        ),
        Wild(
            "sinabs.activation.spike_generation:MultiSpike",
            spike_generation.MultiSpike.apply,
            [Sample(v, 0.8, exponential)],
            lambda v, threshold, surrogate: (v / threshold).floor().clamp(0),
            its_integral,
            judged=surrogate,
        ),
        Wild(
            "sinabs.activation.spike_generation:SingleSpike",
            spike_generation.SingleSpike.apply,
            [Sample(v, 0.8, exponential)],
            lambda v, threshold, surrogate: (v >= threshold).to(v),
            its_integral,
            judged=surrogate,
        ),
        Wild(
            "sinabs.activation.spike_generation:MaxSpikeInner",
            spike_generation.MaxSpikeInner.apply,
            [Sample(v, 2, 0.8, exponential)],
            lambda v, most, threshold, surrogate: (v / threshold).floor().clamp(0, most),
            lambda v, most, threshold, surrogate: its_integral(v, threshold),
            judged=surrogate,
        ),
    ]
