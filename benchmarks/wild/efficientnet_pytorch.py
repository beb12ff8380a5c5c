"""The swish of EfficientNet PyTorch."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ansnet.testing import Sample
from wild.entry import Wild
from wild.shared.judgements import OLD_STYLE

REQUIREMENT = "efficientnet-pytorch==0.7.1"


def functions() -> list[Wild]:
    """`SwishImplementation`, which computes its backward from the input alone."""
    from efficientnet_pytorch.utils import SwishImplementation

    x = torch.tensor([[-4.0, -2.3, -0.7], [0.4, 1.6, 5.0]], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "efficientnet_pytorch.utils:SwishImplementation",
            SwishImplementation.apply,
            [Sample(x)],
            F.silu,
            judged=OLD_STYLE,
        )
    ]
