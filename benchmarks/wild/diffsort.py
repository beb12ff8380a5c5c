"""diffsort: sorting networks whose swaps are relaxed (Petersen et al. 2022)."""

from __future__ import annotations

import torch

from ansnet.testing import Sample
from wild.causes import OLD_STYLE, rows
from wild.entry import Wild, defect

REQUIREMENT = "diffsort==0.2.0"


def functions() -> list[Wild]:
    """The normal distribution's cumulative function, with which two numbers are compared."""
    from diffsort.functional import NormalCDF

    x = torch.tensor([[-1.2, 0.3, 0.05], [0.8, -0.4, 2.1]], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "diffsort.functional:NormalCDF",
            NormalCDF.apply,
            [Sample(x, 0.7)],
            lambda x, sigma: torch.special.ndtr(x / sigma),
            judged={
                **OLD_STYLE,
                **rows(
                    defect(
                        "The gradient is exact to seven digits only in float64: the width "
                        "is saved in float32."
                    ),
                    "gradients",
                ),
            },
        )
    ]
