"""TorchOpt: differentiable optimizers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import CUSTOM_JVP, NEEDLESS, OLD_STYLE, SECOND_DERIVATIVE, SINGLE_GRADIENT, rows
from wild.entry import Wild, by_design, defect

REQUIREMENT = "torchopt==0.7.3"
NEEDS = ("optree==0.20.0", "graphviz==0.21")


def functions() -> list[Wild]:
    """The three steps of Adam, whose derivatives are a C++ extension's."""
    from torchopt.accelerated_op.adam_op import AdamOp

    generator = torch.Generator().manual_seed(0)
    gradient, mean, square = (
        torch.rand(2, 3, dtype=torch.float64, generator=generator).requires_grad_() for _ in range(3)
    )

    def updates(mean: Tensor, square: Tensor) -> Any:
        return AdamOp.UpdatesOp.apply(mean, square, (0.9, 0.999, 1e-8, 1e-3, 3))

    return [
        Wild(
            "torchopt.accelerated_op.adam_op:AdamOp.MuOp",
            lambda gradient, mean: AdamOp.MuOp.apply(gradient, mean, 0.9),
            [Sample(gradient, mean)],
            lambda gradient, mean: 0.9 * mean + 0.1 * gradient,
            judged={**OLD_STYLE, **SINGLE_GRADIENT, "needless work": NEEDLESS, **CUSTOM_JVP},
        ),
        Wild(
            "torchopt.accelerated_op.adam_op:AdamOp.NuOp",
            lambda gradient, square: AdamOp.NuOp.apply(gradient, square, 0.999),
            [Sample(gradient, square)],
            lambda gradient, square: 0.999 * square + 0.001 * gradient**2,
            judged={**OLD_STYLE, **SINGLE_GRADIENT, "needless work": NEEDLESS, **CUSTOM_JVP},
        ),
        Wild(
            "torchopt.accelerated_op.adam_op:AdamOp.UpdatesOp",
            updates,
            [Sample(mean, square)],
            lambda mean, square: mean / (1 - 0.9**3) / ((square / (1 - 0.999**3) + 1e-3).sqrt() + 1e-8),
            judged={
                **OLD_STYLE,
                "needless work": NEEDLESS,
                **CUSTOM_JVP,
                "gradgradcheck": SECOND_DERIVATIVE,
                "batched gradients": defect(
                    "Batched gradients (`is_grads_batched`) raise an error: the backward multiplies in "
                    "place."
                ),
                **rows(
                    defect(
                        "The second moment's gradient is wrong in silence where eps_root "
                        "is not 0, here by 25 %: it is added to the wrong term."
                    ),
                    "gradients",
                    "gradcheck",
                ),
                **rows(
                    by_design(
                        "The output has the input's dtype; the power in the reference is "
                        "computed in float32."
                    ),
                    "autocast bfloat16",
                    "autocast float16",
                ),
                "non finite values": defect(
                    "The first moment's gradient is the update divided by it: 0 where "
                    "the moment is 0, NaN where it is NaN."
                ),
            },
        ),
    ]
