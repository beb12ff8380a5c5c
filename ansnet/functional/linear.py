r"""Linear (fully connected) layer.

Forward::

    z = x wᵀ + b

Backward::

    x̄ = z̄ w
    w̄ = z̄ᵀ x
    b̄ = Σ_n z̄[n]

Tangent::

    ż = ẋ wᵀ + x ẇᵀ + ḃ

Of complex numbers x̄ and w̄ take the conjugates of w and x, as PyTorch's gradients do.

Shapes::

    x  N × D        D inputs
    w  F × D        F outputs
    b  F
    z  N × F

N stands for any number of leading dimensions; w̄ and b̄ sum over all of them.

Source: the notebook's course, exercise *multilayer-perceptron*; the derivation is the matrix
product's, d(x wᵀ) = dx wᵀ + x dwᵀ.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional.arguments import cast_for_autocast
from ansnet.functional.function import as_new, calls_for_operator, compilable, save, saved, where_needed


class Linear(torch.autograd.Function):
    """z = x wᵀ + b; the module's docstring has the formulas. ``Linear.apply(x, w, b)``."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        return as_new(F.linear(x, w, b))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, w, _ = inputs
        needs_grad_x, needs_grad_w, _ = ctx.needs_input_grad
        save(ctx, (where_needed(needs_grad_w, x), where_needed(needs_grad_x, w)), (x, w))

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, ...]:
        x, w = saved(ctx, ctx.for_backward)
        grad_x = grad_w = grad_b = None
        if ctx.needs_input_grad[0]:
            grad_x = grad_z @ w.conj()
        if ctx.needs_input_grad[1]:
            grad_w = rows_of(grad_z).T @ rows_of(x).conj()
        if ctx.needs_input_grad[2]:
            grad_b = rows_of(grad_z).sum(0)
        return grad_x, grad_w, grad_b

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor, tangent_w: Tensor, tangent_b: Tensor | None) -> Tensor:
        x, w = saved(ctx, ctx.for_forward)
        return F.linear(tangent_x, w, tangent_b) + F.linear(x, tangent_w)


apply_linear = compilable(Linear)


def rows_of(x: Tensor) -> Tensor:
    """All leading dimensions as one: the N × D matrix of the formulas."""
    return x.reshape(x.shape[:-1].numel(), x.shape[-1])


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply by a matrix and add a bias; as ``torch.nn.functional.linear``.

    Args:
        input: … × D, any number of leading dimensions.
        weight: F × D.
        bias: F; None adds nothing.

    Returns:
        … × F.

    Raises:
        RuntimeError: the shapes don't fit together.

    Example:
        >>> linear(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]), torch.tensor([5.0]))
        tensor([[16.]])
    """
    if calls_for_operator(input, weight, bias):
        return F.linear(input, weight, bias)
    if weight.dim() != 2 or input.dim() == 0 or input.shape[-1] != weight.shape[1]:
        raise RuntimeError(
            "linear expects an input of shape (…, D) and a weight of shape (F, D), "
            f"got {tuple(input.shape)} and {tuple(weight.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise RuntimeError(
            f"linear: {len(weight)} outputs need a bias of shape ({len(weight)},), "
            f"got {tuple(bias.shape)}"
        )
    tensors = cast_for_autocast(input), cast_for_autocast(weight), cast_for_autocast(bias)
    z: Tensor = apply_linear(*tensors)
    return z
