"""The detached twins of x-transformers."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild, by_design
from wild.shared.judgements import OLD_STYLE, not_compiled, of

REQUIREMENT = "x-transformers==2.31.10"
NEEDS = (
    "einops==0.8.2",
    "einx==0.4.3",
    "frozendict==2.5.1",
    "loguru==0.7.3",
    "torch-einops-utils==0.2.0",
)


def functions() -> list[Wild]:
    """`DetachMultiple`, of two tensors: copies, through which the gradients pass as they are."""
    from x_transformers.belief_state_wrapper import DetachMultiple

    x = torch.tensor([[-1.4, -0.7, -0.2], [0.3, 0.8, 1.7]], dtype=torch.float64, requires_grad=True)
    y = (x / 2).detach().requires_grad_()

    def copies(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x.clone(), y.clone()

    return [
        Wild(
            "x_transformers.belief_state_wrapper:DetachMultiple",
            DetachMultiple.apply,
            [Sample(x, y)],
            copies,
            judged={
                **OLD_STYLE,
                **not_compiled("the forward calls requires_grad_()."),
                **of(
                    by_design(
                        "The outputs require grad, whatever the mode: they are to be differentiated by."
                    ),
                    "without gradients",
                ),
            },
        )
    ]
