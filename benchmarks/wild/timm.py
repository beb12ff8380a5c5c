"""Activations of timm whose backward computes from the input alone, to save memory."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional as F

from ansnet.testing import Sample
from wild.entry import Judgement, Wild
from wild.shared.judgements import AT_NAN, OLD_STYLE, TIMES_NAN, without

REQUIREMENT = "timm==1.0.31"
NEEDS = (
    "huggingface-hub==2.4.0",
    "pyyaml==6.0.4",
    "safetensors==0.8.0",
)


JUDGED: dict[str, Mapping[str, Judgement]] = {
    "HardSigmoidAutoFn": {**without(OLD_STYLE, "hessian", "gradient through vmap"), **TIMES_NAN},
    "HardSwishAutoFn": {**OLD_STYLE, **AT_NAN},
    "HardMishAutoFn": {**OLD_STYLE, **AT_NAN},
}


def functions() -> list[Wild]:
    """The five Functions of `timm.layers.activations_me`."""
    from timm.layers import activations_me as timm

    x = torch.tensor([[-4.0, -2.3, -0.7], [0.4, 1.6, 5.0]], dtype=torch.float64, requires_grad=True)
    named = {
        "SwishAutoFn": F.silu,
        "MishAutoFn": F.mish,
        "HardSigmoidAutoFn": F.hardsigmoid,
        "HardSwishAutoFn": F.hardswish,
        "HardMishAutoFn": lambda x: 0.5 * x * (x + 2).clamp(0, 2),
    }
    return [
        Wild(
            f"timm.layers.activations_me:{name}",
            getattr(timm, name).apply,
            [Sample(x)],
            reference,
            judged=JUDGED.get(name, OLD_STYLE),
        )
        for name, reference in named.items()
    ]
