"""The signed geometric mean of pytorch-logit-logic."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Wild
from wild.shared.judgements import OLD_STYLE, SINGLE_GRADIENT

REQUIREMENT = "pytorch-logit-logic==1.0.0"


def signed_root(x: Tensor, dim: int, keepdim: bool, bound: float | None) -> Tensor:
    """The root of the product's absolute value, with the product's sign."""
    product = x.prod(dim, keepdim)
    return product.sign() * product.abs().sqrt()


def functions() -> list[Wild]:
    """`SignedGeomeanFunc`, without a bound of its gradient."""
    from pytorch_logit_logic.actfuns import SignedGeomeanFunc

    x = torch.tensor([[-1.4, -0.7], [0.3, 0.8], [1.7, -0.4]], dtype=torch.float64, requires_grad=True)
    return [
        Wild(
            "pytorch_logit_logic.actfuns:SignedGeomeanFunc",
            SignedGeomeanFunc.apply,
            [Sample(x, 1, False, None), Sample(x, 1, True, None)],
            signed_root,
            judged={**OLD_STYLE, **SINGLE_GRADIENT},
        )
    ]
