"""The reversible sequence of RevTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ansnet.testing import Sample
from wild.entry import Wild, defect
from wild.shared.coupling import F, G, additive
from wild.shared.judgements import OLD_STYLE, not_compiled, of

REQUIREMENT = "revtorch==0.2.4"


def functions() -> list[Wild]:
    """`_ReversibleModuleFunction`, through `ReversibleSequence`, which may be differentiated twice."""
    from revtorch import ReversibleBlock, ReversibleSequence

    sequence = ReversibleSequence(
        nn.ModuleList([ReversibleBlock(F, G)]), eagerly_discard_variables=False
    )
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)

    def reversible(x: Tensor) -> Tensor:
        result: Tensor = sequence(x)
        return result

    return [
        Wild(
            "revtorch.revtorch:_ReversibleModuleFunction",
            reversible,
            [Sample(x)],
            additive,
            judged={
                **OLD_STYLE,
                **not_compiled("the Function's backward sets attributes of tensors."),
                **of(
                    defect("Second derivatives raise: the backward is not differentiable."),
                    "gradgradcheck",
                    "second derivative of empty batches",
                ),
                **of(
                    defect("The input of the first block is computed again, which nothing needs."),
                    "needless work",
                ),
                **of(
                    defect("Batched gradients raise: the backward calls backward()."),
                    "batched gradients",
                ),
                **of(
                    defect(
                        "The output, kept on ctx, may change before the backward: wrong in silence."
                    ),
                    "saved tensors guarded",
                ),
            },
        )
    ]
