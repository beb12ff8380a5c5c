"""Activations of pytorch-toolbelt, and the normalisation of its bi-tempered loss."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ansnet.testing import Sample
from wild.entry import Wild, defect
from wild.shared.judgements import OLD_STYLE, SCRIPTED
from wild.shared.roots import normalization

REQUIREMENT = "pytorch-toolbelt==0.8.0"
NEEDS = ("opencv-python-headless==5.0.0.93", "timm==1.0.31")


def functions() -> list[Wild]:
    """All three of its Functions."""
    from pytorch_toolbelt.losses import bitempered_loss
    from pytorch_toolbelt.modules import activations

    x = torch.tensor([[-4.0, -2.3, -0.7], [0.4, 1.6, 5.0]], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            f"pytorch_toolbelt.modules.activations:{name}",
            getattr(activations, name).apply,
            [Sample(x)],
            reference,
            judged={**OLD_STYLE, **SCRIPTED},
        )
        for name, reference in (("SwishFunction", F.silu), ("MishFunction", F.mish))
    ] + [
        Wild(
            "pytorch_toolbelt.losses.bitempered_loss:ComputeNormalization",
            bitempered_loss.ComputeNormalization.apply,
            [Sample(x / 2, 1.2, 12)],
            normalization,
            judged={
                **OLD_STYLE,
                "accuracy": defect("Digits are lost where all activations are large."),
            },
        )
    ]
