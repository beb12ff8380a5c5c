"""The sparsemax of SuPar."""

from __future__ import annotations

import torch

from ansnet.testing import Sample
from wild.entry import Wild, defect
from wild.shared import roots
from wild.shared.judgements import OLD_STYLE, of

REQUIREMENT = "supar==1.1.4"
NEEDS = (
    "nltk==3.10.4",
    "regex==2026.11.19",
    "tqdm==4.70.1",
    "dill==0.4.1",
)


def functions() -> list[Wild]:
    """`SparsemaxFunction`, over the last axis and over the first."""
    from supar.structs.fn import SparsemaxFunction

    x = torch.tensor(
        [[0.1, 0.9, -1.2, 0.6], [1.3, -0.2, 0.45, 1.1]], dtype=torch.float64, requires_grad=True
    )
    return [
        Wild(
            "supar.structs.fn:SparsemaxFunction",
            SparsemaxFunction.apply,
            [Sample(x, -1), Sample(x, 0)],
            lambda x, dim: roots.entmax(x, 2.0, dim),
            judged={
                **OLD_STYLE,
                **of(
                    defect(
                        "Large logits in lower precision, and a NaN, raise an IndexError: no element "
                        "counts as of the support, as no maximum is subtracted."
                    ),
                    "accuracy",
                    "non finite values",
                ),
                **of(
                    defect(
                        "A view with a pending sign or conjugation raises, as torch's new_tensor does."
                    ),
                    "negative views",
                ),
                **of(
                    defect("An empty axis raises, where others return nothing."),
                    "zero size batch",
                ),
            },
        )
    ]
