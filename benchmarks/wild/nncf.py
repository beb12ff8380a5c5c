"""Quantisers of NNCF that need no extension to be compiled, and its threshold."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild, by_design
from wild.shared.judgements import (
    OLD_STYLE,
    SINGLE_GRADIENT,
    of,
)

REQUIREMENT = "nncf==3.4.0"
NEEDS = (
    "packaging==26.4",
    "psutil==7.2.2",
    "rich==15.0.0",
    "markdown-it-py==4.3.0",
    "mdurl==0.1.2",
    "pygments==2.21.0",
    "safetensors==0.8.0",
    "tabulate==0.10.0",
)


def tuned(low: Tensor, width: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """A range that holds 0, widened so that 0 is one of its levels: its lower end, and its width."""
    high = (low + width).clamp(min=0)
    low = low.clamp(max=0)
    steps = levels - 1
    zero = (-low * steps / (high - low)).round()
    by_low = torch.where(zero < steps, zero / (zero - steps) * high, low)
    by_high = torch.where(zero > 0, (zero - steps) / zero * low, high)
    lower = high - by_low > by_high - low
    new_low = torch.where(lower, by_low, low)
    return new_low, torch.where(lower, high, by_high) - new_low


def functions() -> list[Wild]:
    """`STThreshold` and `TuneRange`."""
    from nncf.torch.functions import STThreshold
    from nncf.torch.quantization.quantize_functions import TuneRange

    x = torch.tensor([[-1.4, -0.7, 0.2], [0.9, 1.3, 2.7]], dtype=torch.float64, requires_grad=True)
    low = torch.tensor([-1.4, -0.33, 0.2], dtype=torch.float64, requires_grad=True)
    width = torch.tensor([2.2, 1.7, 0.9], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "nncf.torch.functions:STThreshold",
            STThreshold.apply,
            [Sample(x, 0.5)],
            lambda x, threshold: (x > threshold).to(x),
            lambda x, threshold: x.clone(),
            judged=OLD_STYLE,
        ),
        Wild(
            "nncf.torch.quantization.quantize_functions:TuneRange",
            TuneRange.apply,
            [Sample(low, width, 16)],
            tuned,
            lambda low, width, levels: (low.clone(), width.clone()),
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                **of(by_design("An infinite range has no levels."), "non finite values"),
            },
        ),
    ]
