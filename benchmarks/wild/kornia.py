"""Functions of Kornia: the log-softmax of the target, and a basis of a null space."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild
from wild.shared.judgements import OLD_STYLE

REQUIREMENT = "kornia==0.9.0"
NEEDS = ("kornia-rs==0.2.0",)


def target_log_softmax(x: Tensor, target: Tensor, valid: Tensor | None) -> Tensor:
    """The log-probability of each target, 0 where it is not valid."""
    chosen = x.log_softmax(1).gather(1, target)
    return chosen if valid is None else torch.where(valid, chosen, 0)


def functions() -> list[Wild]:
    """`_TargetLogSoftmax`, of the focal loss."""
    from kornia.losses import focal

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([[[0, 3, 1]], [[2, 2, 0]]])
    return [
        Wild(
            "kornia.losses.focal:_TargetLogSoftmax",
            focal._TargetLogSoftmax.apply,
            [Sample(x, target, None)],
            target_log_softmax,
            judged=OLD_STYLE,
        ),
    ]
