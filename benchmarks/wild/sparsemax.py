"""The sparsemax of sparsemax."""

from __future__ import annotations

import torch

from ansnet.testing import Sample
from wild.entry import Wild, defect
from wild.shared import roots
from wild.shared.judgements import OLD_STYLE, of

REQUIREMENT = "sparsemax==0.1.9"


def functions() -> list[Wild]:
    """`SparsemaxFunction`, of two axes and of three."""
    from sparsemax.sparsemax import SparsemaxFunction

    x = torch.tensor(
        [[0.1, 0.9, -1.2, 0.6], [1.3, -0.2, 0.45, 1.1]], dtype=torch.float64, requires_grad=True
    )
    y = x.detach().reshape(2, 2, 2).requires_grad_()
    return [
        Wild(
            "sparsemax.sparsemax:SparsemaxFunction",
            SparsemaxFunction.apply,
            [Sample(x, -1), Sample(y, 1)],
            lambda x, dim: roots.entmax(x, 2.0, dim),
            judged={
                **OLD_STYLE,
                **of(
                    defect("A logit of −∞, as of a mask, makes its whole row NaN: 0 · ∞ in a sum."),
                    "non finite values",
                ),
                **of(
                    defect(
                        "Along the first axis of a matrix it is taken along the last, in silence: "
                        "what it computes is turned only where there are more axes than two."
                    ),
                    "uses its arguments",
                ),
            },
        )
    ]
