"""The sign of bnn."""

from __future__ import annotations

import torch

from ansnet.testing import Sample
from wild.entry import Wild
from wild.shared.judgements import OLD_STYLE

REQUIREMENT = "bnn==0.1.2"


def functions() -> list[Wild]:
    """`SignActivation`, whose gradient is that of a clipped identity."""
    from bnn.ops import SignActivation

    x = torch.tensor([[-1.4, -0.7, -0.2], [0.3, 0.8, 1.7]], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "bnn.ops:SignActivation",
            SignActivation.apply,
            [Sample(x)],
            torch.sign,
            lambda x: x.clamp(-1, 1),
            judged=OLD_STYLE,
        )
    ]
