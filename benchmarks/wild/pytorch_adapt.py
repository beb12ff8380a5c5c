"""Gradient reversal of PyTorch Adapt."""

from __future__ import annotations

from wild.entry import Wild
from wild.shared.reversal import reversal

REQUIREMENT = "pytorch-adapt==0.0.83"
NEEDS = (
    "tqdm==4.70.1",
    "pytorch-metric-learning==2.9.0",
    "torchmetrics==1.9.0",
    "lightning-utilities==0.15.3",
    "packaging==26.4",
)


def functions() -> list[Wild]:
    """`_GradientReversal`, which its layer `GradientReversal` applies."""
    from pytorch_adapt.layers import gradient_reversal

    return [
        reversal(
            "pytorch_adapt.layers.gradient_reversal:_GradientReversal",
            gradient_reversal._GradientReversal.apply,
        )
    ]
