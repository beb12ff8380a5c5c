"""Activations of fastai whose backward computes from the input alone, to save memory."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ansnet.testing import Sample
from wild.entry import Wild
from wild.shared.judgements import OLD_STYLE, SCRIPTED, not_compiled

REQUIREMENT = "fastai==2.8.12"
NEEDS = (
    "anyio==4.16.0",
    "beartype==0.23.1",
    "fastcore==2.2.41",
    "fastprogress==1.1.6",
    "fasttransform==0.0.5",
    "itsdangerous==2.2.0",
    "plum-dispatch==2.10.1",
    "python-fasthtml==0.14.14",
    "python-multipart==0.0.34",
    "starlette==1.10.0",
)


def functions() -> list[Wild]:
    """Swish and Mish of `fastai.layers`."""
    from fastai import layers

    x = torch.tensor([[-4.0, -2.3, -0.7], [0.4, 1.6, 5.0]], dtype=torch.float64, requires_grad=True)
    named = {"_SwishJitAutoFn": F.silu, "MishJitAutoFn": F.mish}
    return [
        Wild(
            f"fastai.layers:{name}",
            getattr(layers, name).apply,
            [Sample(x)],
            reference,
            judged={**OLD_STYLE, **SCRIPTED, **not_compiled("the backward reads ctx.saved_variables.")},
        )
        for name, reference in named.items()
    ]
