"""Functions that are the root of an equation, in plain PyTorch: references of several packages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def root(excess: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor], low: Tensor) -> Tensor:
    """Where a decreasing function is 0: by bisection; two of Newton's steps carry the derivatives.

    Args:
        excess: the function; it may depend on tensors that require grad.
        slope: its derivative.
        low: where it is not negative; at low + 100 it is not positive.
    """
    with torch.no_grad():
        low, high = low.detach(), low.detach() + 100
        for _ in range(100):
            middle = (low + high) / 2
            above = excess(middle) > 0
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    shift = (low + high) / 2
    for _ in range(2):
        shift = shift - excess(shift) / slope(shift)
    return shift


def power(base: Tensor, exponent: Any) -> Tensor:
    """The power of what is positive, 0 where it is not, also as to its derivatives; NaN of NaN."""
    outside = base <= 0
    return torch.where(outside, 0, torch.where(outside, 1, base) ** exponent)


def normalization(activations: Tensor, t: float, iterations: int) -> Tensor:
    r"""$\lambda$ with $\sum_i \exp_t(a_i - \lambda) = 1$.

    Where $\exp_t(u) = [1 + (1 - t) u]_+^{1/(1-t)}$;
    Amid et al., Robust Bi-Tempered Logistic Loss, NeurIPS 2019.

    Args:
        activations: (…, classes).
        t: the temperature, not 1.
        iterations: not used.

    Shapes: (…, 1).
    """

    def powers(shift: Tensor, exponent: float) -> Tensor:
        return power(1 + (1 - t) * (activations - shift), exponent).sum(-1, keepdim=True)

    return root(
        lambda shift: powers(shift, 1 / (1 - t)) - 1,
        lambda shift: -powers(shift, t / (1 - t)),
        activations.max(-1, keepdim=True).values,
    )


def entmax(x: Tensor, alpha: Any = 1.5, dim: int = -1, *others: Any) -> Tensor:
    r"""$p_i = [(\alpha - 1) x_i - \tau]_+^{1/(\alpha - 1)}$ with $\sum_i p_i = 1$.

    Peters, Niculae, Martins, Sparse Sequence-to-Sequence Models, ACL 2019. Sparsemax is $\alpha = 2$.
    """
    scaled = x * (alpha - 1)
    exponent = 1 / (alpha - 1)
    shift = root(
        lambda shift: power(scaled - shift, exponent).sum(dim, keepdim=True) - 1,
        lambda shift: -exponent * power(scaled - shift, exponent - 1).sum(dim, keepdim=True),
        scaled.max(dim, keepdim=True).values - 1,
    )
    return power(scaled - shift, exponent)
