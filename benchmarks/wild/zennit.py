"""The identity of Zennit, to which hooks are attached."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild, defect
from wild.shared.judgements import OLD_STYLE, of

REQUIREMENT = "zennit==0.5.1"
NEEDS = ("click==8.5.1",)


VARIADIC = {
    **of(
        defect(
            "Compiled, under no_grad the first tensor is lost in silence. It is torch.compile 2.14.1's "
            "fault, of any forward(ctx, *inputs); 2.15.0 has it right."
        ),
        "compile",
        "compile dynamic shapes",
    ),
}


def functions() -> list[Wild]:
    """`Identity`, of two tensors."""
    from zennit.core import Identity

    x = torch.tensor([[-1.4, -0.7, -0.2], [0.3, 0.8, 1.7]], dtype=torch.float64, requires_grad=True)
    y = (x / 2).detach().requires_grad_()

    def identity(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x.clone(), y.clone()

    return [
        Wild(
            "zennit.core:Identity",
            Identity.apply,
            [Sample(x, y)],
            identity,
            judged={**OLD_STYLE, **VARIADIC},
        )
    ]
