"""Reversible blocks of MemCNN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Judgement, Wild, by_design, defect
from wild.shared.coupling import F, G, additive, inverse
from wild.shared.judgements import OLD_STYLE, not_compiled, of, without

REQUIREMENT = "memcnn==1.5.2"


ALL: dict[str, Judgement] = {
    **OLD_STYLE,
    **of(
        defect("Outputs are computed again in the backward, which needs their derivatives alone."),
        "needless work",
    ),
    **not_compiled("the backward differentiates inside."),
    **of(
        defect("Second derivatives are 0 in silence: the backward's are not recorded."),
        "gradgradcheck",
        "second derivative of empty batches",
    ),
}
SECOND = without(ALL, "second derivative of empty batches")
REBUILT = of(
    by_design("An infinite input cannot be had again from the output: ∞ − ∞."), "non finite values"
)
SWAPPED: dict[str, Judgement] = {
    **of(
        defect("The gradient is wrong in silence: its two halves are in each other's place."),
        "gradients",
        "gradcheck",
        "non finite values",
        "uses its arguments",
        "dtypes",
    ),
    **of(
        defect(
            "What is saved of the input, its .data, may change before the backward: wrong in silence."
        ),
        "saved tensors guarded",
    ),
}


def functions() -> list[Wild]:
    """The additive coupling and its inverse, each in the two ways that the package has."""
    from memcnn.models import additive as memcnn

    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)

    def applied(function: Any) -> Callable[[Tensor], Tensor]:
        def apply(x: Tensor) -> Tensor:
            result: Tensor = function.apply(x, F, G)
            return result

        return apply

    return [
        Wild(
            f"memcnn.models.additive:{name}",
            applied(getattr(memcnn, name)),
            [Sample(x)],
            reference,
            judged=judged,
        )
        for name, reference, judged in (
            ("AdditiveBlockFunction", additive, ALL),
            ("AdditiveBlockFunction2", additive, SECOND),
            ("AdditiveBlockInverseFunction", inverse, {**ALL, **SWAPPED}),
            ("AdditiveBlockInverseFunction2", inverse, {**SECOND, **REBUILT}),
        )
    ]
