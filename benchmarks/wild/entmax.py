"""entmax: sparse relatives of the softmax (Martins & Astudillo 2016, Peters et al. 2019)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.testing import Sample
from wild.causes import NEEDLESS, OLD_STYLE, ON_CTX, SECOND_DERIVATIVE, SINGLE_GRADIENT, not_traced
from wild.entry import Wild, by_design, defect

REQUIREMENT = "entmax==1.3"


def functions() -> list[Wild]:
    """Sparsemax, entmax and the norm- and budget-constrained maps, and the losses of them."""
    from entmax import activations, losses, root_finding

    x = torch.tensor([[0.3, -0.2, 1.7, 0.9], [0.1, 0.45, -1.4, 0.8]], dtype=torch.float64)
    x.requires_grad_()
    alpha = torch.tensor([[1.3], [1.7]], dtype=torch.float64, requires_grad=True)
    target = torch.tensor([2, 1])
    return [
        Wild(
            "entmax.activations:SparsemaxFunction",
            activations.SparsemaxFunction.apply,
            [Sample(x, -1)],
            lambda x, dim: _entmax(x, 2.0, dim),
            judged={
                **OLD_STYLE,
                "non finite values": defect(
                    "A NaN in the input raises an error about an index of −1, which "
                    "does not tell of it."
                ),
                **not_traced("forward and backward are class methods, whose ctx it does not take."),
            },
        ),
        Wild(
            "entmax.activations:Entmax15Function",
            activations.Entmax15Function.apply,
            [Sample(x, -1)],
            lambda x, dim: _entmax(x, 1.5, dim),
            judged={
                **OLD_STYLE,
                "non finite values": defect(
                    "A NaN in the input raises an error about an index of −1, which "
                    "does not tell of it."
                ),
                **not_traced("forward and backward are class methods, whose ctx it does not take."),
                "gradgradcheck": defect(
                    "Second derivatives are NaN, in silence, where the result has a 0: "
                    "a square root is differentiated there."
                ),
            },
        ),
        Wild(
            "entmax.root_finding:EntmaxBisectFunction",
            root_finding.EntmaxBisectFunction.apply,
            [Sample(x, alpha, -1)],
            _entmax,
            judged={
                **OLD_STYLE,
                **SINGLE_GRADIENT,
                "needless work": NEEDLESS,
                "non finite values": by_design(
                    "A NaN makes all numbers of its row NaN, where the reference leaves it out."
                ),
                **not_traced("forward and backward are class methods, whose ctx it does not take."),
                "gradgradcheck": defect(
                    "Second derivatives are NaN, in silence, where the result has a 0: "
                    "a power is differentiated there."
                ),
                "accuracy": by_design(
                    "α is moved along with x, to 1000, at which the powers overflow in float32."
                ),
                "saved tensors guarded": defect(
                    "α is kept on ctx, not by `save_for_backward`: changed in place "
                    "before the backward, as by an optimizer's step, it makes the "
                    "gradient wrong in silence."
                ),
                "uses its arguments": by_design(
                    "α below 1 is tried as well, for which entmax is not defined."
                ),
                "finite far away": by_design(
                    "α far below 1 is tried, for which entmax is not defined."
                ),
            },
        ),
        Wild(
            "entmax.root_finding:NormmaxBisectFunction",
            root_finding.NormmaxBisectFunction.apply,
            [Sample(x, 3.0, -1)],
            _normmax,
            judged={
                **OLD_STYLE,
                **ON_CTX,
                "non finite values": by_design(
                    "A NaN as the output's gradient passes also where the factor is 0, as 0 · NaN."
                ),
                **not_traced("forward and backward are class methods, whose ctx it does not take."),
                "gradgradcheck": defect(
                    "Second derivatives are NaN, in silence, where the result has a 0: "
                    "a power is differentiated there."
                ),
            },
        ),
        Wild(
            "entmax.root_finding:BudgetBisectFunction",
            root_finding.BudgetBisectFunction.apply,
            [Sample(x, 1.7, -1)],
            _budget,
            judged={
                **OLD_STYLE,
                **ON_CTX,
                **not_traced("forward and backward are class methods, whose ctx it does not take."),
            },
        ),
        Wild(
            "entmax.losses:SparsemaxLossFunction",
            lambda x, target: losses.sparsemax_loss(x, target),
            [Sample(x, target)],
            lambda x, target: _loss(x, target, 2.0),
            judged={
                **OLD_STYLE,
                "gradgradcheck": SECOND_DERIVATIVE,
                "non finite values": defect(
                    "A NaN in the input raises an error about an index of −1, which "
                    "does not tell of it."
                ),
                **not_traced("forward and backward are class methods, whose ctx it does not take."),
            },
        ),
        Wild(
            "entmax.losses:Entmax15LossFunction",
            lambda x, target: losses.entmax15_loss(x, target),
            [Sample(x, target)],
            lambda x, target: _loss(x, target, 1.5),
            judged={
                **OLD_STYLE,
                "gradgradcheck": SECOND_DERIVATIVE,
                "non finite values": defect(
                    "A NaN in the input raises an error about an index of −1, which "
                    "does not tell of it."
                ),
                **not_traced("forward and backward are class methods, whose ctx it does not take."),
            },
        ),
    ]


def _entmax(x: Tensor, alpha: Any, dim: int) -> Tensor:
    """[(α − 1) x − τ]₊ to the power of 1/(α − 1), whose sum is 1; τ by bisection and Newton.

    The steps are differentiated, which gives τ's own derivative.
    """
    scaled = x * (alpha - 1)
    with torch.no_grad():
        low, high = scaled.amax(dim, keepdim=True) - 1, scaled.amax(dim, keepdim=True)
        for _ in range(60):
            middle = (low + high) / 2
            above = _power(scaled - middle, 1 / (alpha - 1)).sum(dim, keepdim=True) > 1
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    tau = low
    for _ in range(2):
        excess = _power(scaled - tau, 1 / (alpha - 1)).sum(dim, keepdim=True) - 1
        slope = (_power(scaled - tau, 1 / (alpha - 1) - 1) / (alpha - 1)).sum(dim, keepdim=True)
        tau = tau + excess / slope
    return _power(scaled - tau, 1 / (alpha - 1))


def _power(base: Tensor, exponent: Any) -> Tensor:
    """base^exponent where base is positive, 0 elsewhere, and its derivatives too."""
    positive = base > 0
    return torch.where(positive, torch.where(positive, base, 1.0) ** exponent, 0.0)


def _normmax(x: Tensor, alpha: float, dim: int) -> Tensor:
    """Maximises ⟨x, p⟩ − ‖p‖_α over the simplex: p ∝ [x − τ]₊^{1/(α − 1)}, with ‖[x − τ]₊‖_β = 1."""
    beta = alpha / (alpha - 1)
    with torch.no_grad():
        low, high = x.amax(dim, keepdim=True) - 1, x.amax(dim, keepdim=True)
        for _ in range(60):
            middle = (low + high) / 2
            above = _power(x - middle, beta).sum(dim, keepdim=True) > 1
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    tau = low
    for _ in range(2):
        excess = _power(x - tau, beta).sum(dim, keepdim=True) - 1
        tau = tau + excess / (beta * _power(x - tau, beta - 1)).sum(dim, keepdim=True)
    p = _power(x - tau, 1 / (alpha - 1))
    return p / p.sum(dim, keepdim=True)


def _budget(x: Tensor, budget: float, dim: int) -> Tensor:
    """The nearest point to x in [0, 1]ⁿ with the sum ``budget``: x − τ, cut off at 0 and 1."""
    with torch.no_grad():
        low, high = x.amin(dim, keepdim=True) - 1, x.amax(dim, keepdim=True)
        for _ in range(60):
            middle = (low + high) / 2
            above = (x - middle).clamp(0, 1).sum(dim, keepdim=True) > budget
            low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        inside = ((x - low > 0) & (x - low < 1)).to(x)
    tau = low + ((x - low).clamp(0, 1).sum(dim, keepdim=True) - budget) / inside.sum(dim, keepdim=True)
    return (x - tau).clamp(0, 1)


def _loss(x: Tensor, target: Tensor, alpha: float) -> Tensor:
    """⟨p − y, x⟩ + (1 − Σ pᵅ) / (α (α − 1)), which has the gradient p − y."""
    p = _entmax(x, alpha, -1)
    omega = (1 - _power(p, alpha).sum(-1)) / (alpha * (alpha - 1))
    return omega + (p * x).sum(-1) - x.gather(-1, target[:, None]).squeeze(-1)
