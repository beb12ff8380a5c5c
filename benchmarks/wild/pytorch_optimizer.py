"""The normalisation of pytorch-optimizer's bi-tempered loss."""

from __future__ import annotations

import torch

from ansnet.testing import Sample
from wild.entry import Wild, defect
from wild.shared import roots
from wild.shared.judgements import OLD_STYLE, of

REQUIREMENT = "pytorch-optimizer==4.1.0"


def functions() -> list[Wild]:
    """`ComputeNormalization`, above temperature 1."""
    from pytorch_optimizer.loss.bi_tempered import ComputeNormalization

    x = torch.tensor([[-2.0, -1.1, -0.3], [0.2, 0.8, 2.5]], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "pytorch_optimizer.loss.bi_tempered:ComputeNormalization",
            ComputeNormalization.apply,
            [Sample(x, 1.2, 12)],
            roots.normalization,
            judged={
                **OLD_STYLE,
                **of(
                    defect("Digits of the gradient are lost where all activations are large."),
                    "accuracy",
                ),
            },
        )
    ]
