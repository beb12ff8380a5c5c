"""The reversible sequence of reformer-pytorch."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild, defect
from wild.shared.coupling import F, G, additive
from wild.shared.judgements import OLD_STYLE, not_compiled, of

REQUIREMENT = "reformer-pytorch==1.4.4"
NEEDS = (
    "einops==0.8.2",
    "axial-positional-embedding==0.3.12",
    "local-attention==1.11.2",
    "hyper-connections==0.4.11",
    "product-key-memory==0.3.0",
    "CoLT5-attention==0.11.2",
)


def functions() -> list[Wild]:
    """`_ReversibleFunction`, as `ReversibleSequence` applies it."""
    from reformer_pytorch.reversible import ReversibleBlock, _ReversibleFunction

    block = ReversibleBlock(F, G)
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)

    def reversible(x: Tensor) -> Tensor:
        result: Tensor = _ReversibleFunction.apply(x, [block], {})
        return result

    return [
        Wild(
            "reformer_pytorch.reversible:_ReversibleFunction",
            reversible,
            [Sample(x)],
            lambda x: additive(x, dim=2),
            judged={
                **OLD_STYLE,
                **not_compiled("the forward reads the state of the random numbers."),
                **of(
                    defect("Second derivatives are 0 in silence: the backward's are not recorded."),
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
