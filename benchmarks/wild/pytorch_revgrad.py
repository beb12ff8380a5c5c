"""Gradient reversal of pytorch-revgrad."""

from __future__ import annotations

import torch

from wild.entry import Wild
from wild.shared.reversal import reversal

REQUIREMENT = "pytorch-revgrad==0.2.0"


def functions() -> list[Wild]:
    """`RevGrad`, whose factor is a tensor."""
    from pytorch_revgrad import functional

    factor = torch.tensor(0.7, dtype=torch.float64)
    return [reversal("pytorch_revgrad.functional:RevGrad", functional.RevGrad.apply, factor)]
