"""e3nn: networks equivariant to rotations."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import OLD_STYLE
from wild.entry import Wild, by_design

REQUIREMENT = "e3nn==0.6.0"
NEEDS = ("opt_einsum_fx==0.1.4", "opt_einsum==3.4.0")


def functions() -> list[Wild]:
    """The smooth step exp(−1/x) for x > 0, 0 elsewhere."""
    from e3nn.math._soft_unit_step import _SoftUnitStep

    x = torch.tensor([[-1.2, 0.3, 0.6], [0.8, -0.4, 2.1]], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "e3nn.math._soft_unit_step:_SoftUnitStep",
            _SoftUnitStep.apply,
            [Sample(x)],
            _step,
            judged={
                **OLD_STYLE,
                "non finite values": by_design(
                    "A NaN as the output's gradient passes also where the factor is 0, as 0 · NaN."
                ),
            },
        )
    ]


def _step(x: Tensor) -> Tensor:
    positive = x > 0
    return positive * torch.exp(-1 / torch.where(positive, x, 1.0))
