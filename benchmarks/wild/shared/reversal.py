"""Gradient reversal, which several packages have: the identity, whose gradient is turned about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.entry import Judgement, Wild
from wild.shared.judgements import OLD_STYLE


def reversal(
    name: str,
    function: Callable[..., Any],
    factor: Any = 0.7,
    sign: float = -1,
    judged: Mapping[str, Judgement] = OLD_STYLE,
) -> Wild:
    """A Function that multiplies gradients by a factor with a sign, −1 of which reverses them."""
    x = torch.tensor([[-4.0, -2.3, -0.7], [0.4, 1.6, 5.0]], dtype=torch.float64, requires_grad=True)

    def identity(x: Tensor, factor: Any) -> Tensor:
        return x.clone()

    def derivative(x: Tensor, factor: Any) -> Tensor:
        return sign * factor * x

    return Wild(name, function, [Sample(x, factor)], identity, derivative, judged)
