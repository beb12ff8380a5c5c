"""Muon: steps along the orthogonal factor of the momentum.

For each weight ``w``, its gradient ``g`` and its momentum ``m``, with the learning rate ``η`` and the
factors ``μ`` of the momentum and ``λ`` of the weight decay:

    m ← μ m + g
    u = g + μ m                                     (Nesterov)
    U = the f × k matrix of u, f the outputs and k what each of them sums over: C · K_h · K_w
    O = ortho(U)                                    (O Oᵀ = 1 or Oᵀ O = 1, nearly)
    w ← (1 − η λ) w − η √max(1, f/k) O

``ortho`` is five steps of a Newton–Schulz iteration from ``X = U/‖U‖``, which draws all singular
values towards 1 by products of matrices alone:

    X ← (a + bA + cA²) X,  A = X Xᵀ

On a GPU, which multiplies large matrices of bfloat16 in no time, the steps are taken in it and as they
stand. Elsewhere, and for weights in float64, multiplications count. Each factor ``R = a + bA + cA²`` is
symmetric and commutes with ``A``, so the next ``A`` is ``R A R`` and ``X`` itself is needed only at the
end: the steps are taken by f × f matrices, ``O = R₅ … R₁ X``. For 512 filters of 512 · 3 · 3 numbers
that is two fifths of the multiplications.

What is no matrix, a bias or a parameter of a normalisation, takes the step ``−η u`` itself.

Source: Jordan, *Muon: an optimizer for hidden layers in neural networks* (2024), and for convolutions
his ``airbench94_muon.py``. ``torch.optim.Muon`` is the same for weights of two axes, and refuses
those of convolutions.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from ansnet.training.replay import Replayed

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # a, b, c: chosen by Jordan for the steepest rise at 0
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """See the module's docstring.

    Args:
        params: parameters, or groups of them.
        lr: learning rate η.
        momentum: μ.
        weight_decay: λ, decoupled from the gradient.
    """

    def __init__(
        self, params: Any, lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.orthogonalize = Replayed(orthogonalized)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.orthogonalize = Replayed(orthogonalized)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step.

        Args:
            closure: evaluates the loss anew, with its gradients.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [w for w in group["params"] if w.grad is not None]
            if weights:
                self.update(weights, group["lr"], group["momentum"], group["weight_decay"])
        return loss

    def update(self, ws: list[Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        gs = [w.grad for w in ws if w.grad is not None]
        ms = [self.momentum_of(w) for w in ws]
        torch._foreach_mul_(ms, momentum)
        torch._foreach_add_(ms, gs)
        us = list(torch._foreach_add(gs, ms, alpha=momentum))
        matrices = [i for i, w in enumerate(ws) if w.ndim > 1]
        if matrices:
            directions = self.orthogonalize([matrix_of(us[i]) for i in matrices])
            torch._foreach_mul_(directions, [sqrt(max(1, len(U) / U.shape[1])) for U in directions])
            for i, direction in zip(matrices, directions, strict=True):
                us[i] = filters_of(direction, us[i])
        torch._foreach_mul_(ws, 1 - lr * weight_decay)
        torch._foreach_add_(ws, us, alpha=-lr)

    def momentum_of(self, w: Tensor) -> Tensor:
        state = self.state[w]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(w)
        m: Tensor = state["momentum_buffer"]
        return m


def lies_channels_last(u: Tensor) -> bool:
    return u.ndim == 4 and u.is_contiguous(memory_format=torch.channels_last)


def matrix_of(u: Tensor) -> Tensor:
    """U, its columns as they lie in memory: in another order, an orthogonal matrix is one as well."""
    return (u.movedim(1, -1) if lies_channels_last(u) else u).flatten(1)


def filters_of(U: Tensor, u: Tensor) -> Tensor:
    """The opposite of `matrix_of`: U in the shape and the order of u."""
    return U.view(u.movedim(1, -1).shape).movedim(-1, 1) if lies_channels_last(u) else U.view_as(u)


def orthogonalized(matrices: list[Tensor]) -> list[Tensor]:
    """The nearest orthogonal matrices, nearly: the singular vectors of each, singular values about 1.

    Shapes: f × k to f × k, each its own.
    """
    is_tall = [U.shape[0] > U.shape[1] for U in matrices]
    Xs = [U.T if tall else U for U, tall in zip(matrices, is_tall, strict=True)]  # A is the smaller one
    Xs = [X.to(torch.promote_types(X.dtype, torch.float32)) for X in Xs]
    Xs = [X / X.norm().clamp(min=1e-7) for X in Xs]
    alike: dict[object, list[int]] = {}
    for i, X in enumerate(Xs):
        if X.is_cuda and X.dtype == torch.float32:
            alike.setdefault((X.shape, X.device), []).append(i)
        else:
            Xs[i] = iterated_by_factors(X)
    for indices in alike.values():
        stacked = iterated_in_bfloat16(torch.stack([Xs[i] for i in indices]))
        for i, X in zip(indices, stacked, strict=True):
            Xs[i] = X
    Os = [X.T if tall else X for X, tall in zip(Xs, is_tall, strict=True)]
    return [O.to(U.dtype) for O, U in zip(Os, matrices, strict=True)]  # noqa: E741  the module's O


def iterated_by_factors(X: Tensor) -> Tensor:
    """R₅ … R₁ X.

    Not in half precision: a small singular value is squared in A, and grows again with the rounding
    beside it.

    Shapes: f × k to f × k.
    """
    a, b, c = COEFFICIENTS
    A = X @ X.T
    factors = torch.eye(len(A), dtype=X.dtype, device=X.device)
    for _ in range(ITERATIONS):
        R = torch.addmm(A, A, A, beta=b, alpha=c)
        R.diagonal().add_(a)
        A, factors = R @ A @ R, R @ factors
    return factors @ X


def iterated_in_bfloat16(X: Tensor) -> Tensor:
    """X as in the formula, for several at a time.

    Shapes: N × f × k to N × f × k.
    """
    a, b, c = COEFFICIENTS
    X = X.bfloat16()
    for _ in range(ITERATIONS):
        A = X @ X.mT
        X = torch.baddbmm(X, torch.baddbmm(A, A, A, beta=b, alpha=c), X, beta=a)
    return X
