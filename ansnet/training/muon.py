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

Each factor ``R = a + bA + cA²`` is symmetric and commutes with ``A``, so the next ``A`` is ``R A R``
and ``X`` itself is needed only at the end: the steps are taken by f × f matrices, ``O = R₅ … R₁ X``.
For 512 filters of 512 · 3 · 3 numbers that is two fifths of the multiplications.

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
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.update(parameter, group["lr"], group["momentum"], group["weight_decay"])
        return loss

    def update(self, w: Tensor, lr: float, momentum: float, weight_decay: float) -> None:
        g, state = w.grad, self.state[w]
        assert g is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(w)
        m = state["momentum_buffer"].mul_(momentum).add_(g)
        u = g.add(m, alpha=momentum)
        if w.ndim > 1:
            U = u.flatten(1)
            f, k = U.shape
            u, lr_of_w = orthogonalized(U).view_as(u), lr * sqrt(max(1, f / k))
        else:
            lr_of_w = lr
        w.mul_(1 - lr * weight_decay).add_(u, alpha=-lr_of_w)


def orthogonalized(U: Tensor) -> Tensor:
    """The nearest orthogonal matrix, nearly: the singular vectors of ``U``, singular values about 1.

    Calculated in float32 at least: a small singular value is squared in ``A``, and grows again with the
    rounding beside it.

    Shapes: f × k to f × k.
    """
    a, b, c = COEFFICIENTS
    f, k = U.shape
    X = (U.T if f > k else U).to(torch.promote_types(U.dtype, torch.float32))  # A is the smaller one
    X = X / X.norm().clamp(min=1e-7)
    A = X @ X.T
    factors = torch.eye(len(A), dtype=X.dtype, device=X.device)
    for _ in range(ITERATIONS):
        R = torch.addmm(A, A, A, beta=b, alpha=c)
        R.diagonal().add_(a)
        A, factors = R @ A @ R, R @ factors
    O: Tensor = factors @ X  # noqa: E741  the module's O
    return (O.T if f > k else O).to(U.dtype)
