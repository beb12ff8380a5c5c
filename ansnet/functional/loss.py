r"""Softmax cross-entropy: the mean negative log-likelihood of the targets under the softmax.

Forward, with s the label smoothing and t[n] the target class of row n::

    p[n,c] = exp(x[n,c]) / Σ_k exp(x[n,k])
    y[n,c] = (1 − s) · 1[c = t[n]] + s/C
    z      = −1/N Σ_n Σ_c y[n,c] · log p[n,c]

Backward::

    x̄ = z̄ · (p − y)/N

Tangent::

    ż = Σ_n Σ_c ẋ[n,c] · (p[n,c] − y[n,c])/N

The logarithm is never taken of p, nor is exp of x alone: ``log p = x − log Σ exp x``, with the
row's maximum taken out of the sum, is exact for logits of any size. Half precision is computed in
float32, and rounded at the end.

Shapes: x is N × C (logits), t is N (integers 0 … C − 1), z a scalar. `cross_entropy` also takes one
row, C, and rows that are spread over further axes, N × C × D_1 × …, each of which it averages over.

Source: the notebook, ``SoftmaxCrossEntropy`` of the exercise *linear-classification*; label
smoothing from Szegedy et al., *Rethinking the Inception architecture* (2016), section 7.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.functional.arguments import as_dtype, at_least_float32, autocast_applies
from ansnet.functional.function import compilable


class SoftmaxCrossEntropy(torch.autograd.Function):
    """z = cross-entropy of softmax(x) and y; the module's docstring has the formulas.

    ``SoftmaxCrossEntropy.apply(x, target, label_smoothing)``.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
        dtype, x = x.dtype, at_least_float32(x)
        log_p = x - x.logsumexp(1, keepdim=True)
        z = -log_p.gather(1, target[:, None]).mean()
        if label_smoothing:  # only then: 0 times the infinite log p of an impossible class is no number
            z = (1 - label_smoothing) * z - label_smoothing * log_p.mean(1).mean()
        return as_dtype(z, dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, float], output: Tensor) -> None:
        x, target, ctx.label_smoothing = inputs
        ctx.save_for_backward(x, target)
        ctx.save_for_forward(x, target)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None, None]:
        x, target = ctx.saved_tensors
        grad_x = grad_z * derivative(x, target, ctx.label_smoothing)
        return as_dtype(grad_x, x.dtype), None, None

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor, *_: None) -> Tensor:
        x, target = ctx.saved_tensors
        tangent_z = (tangent_x * derivative(x, target, ctx.label_smoothing)).sum()
        return as_dtype(tangent_z, x.dtype)


apply_cross_entropy = compilable(SoftmaxCrossEntropy)


def derivative(x: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
    """The derivative of z by x, (p − y)/N."""
    (N, C), s, x = x.shape, label_smoothing, at_least_float32(x)
    p = (x - x.logsumexp(1, keepdim=True)).exp()
    is_target = torch.arange(C, device=x.device) == target[:, None]
    y = (1 - s) * is_target.to(p.dtype) + s / C
    return (p - y) / N


def cross_entropy(input: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean softmax cross-entropy; as ``torch.nn.functional.cross_entropy`` with class indices.

    Under autocast it is computed in float32.

    Args:
        input: logits, N × C; also C, or N × C × D_1 × … with a target for each position.
        target: class indices, N integers (``torch.int64``); a scalar, or N × D_1 × … .
        label_smoothing: share of the target that is spread over all C classes, 0 to 1.

    Returns:
        A scalar, the mean over all targets; not a number when there are none.

    Raises:
        ValueError: the input is a scalar, or the target's shape is not that of the input without C.
        RuntimeError: the input is no floating point number, the target not ``torch.int64``, or
            ``label_smoothing`` not between 0 and 1.
        IndexError: a target is not a class (on CUDA it is the device that notices).

    Example:
        >>> cross_entropy(torch.zeros(1, 4), torch.tensor([2]))
        tensor(1.3863)
    """
    class_axis = min(1, input.dim() - 1)
    if input.dim() == 0 or target.shape != input.shape[:class_axis] + input.shape[class_axis + 1 :]:
        raise ValueError(
            "cross_entropy expects an input of shape (C,), (N, C) or (N, C, D_1, …) and a target of "
            f"the same shape without C, got {tuple(input.shape)} and {tuple(target.shape)}"
        )
    if not input.is_floating_point():
        raise RuntimeError(f"cross_entropy is not defined for {input.dtype}")
    if target.dtype != torch.int64:
        raise RuntimeError(f"cross_entropy expects class indices (torch.int64), got {target.dtype}")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0 and 1, got {label_smoothing}")
    if autocast_applies(input):
        input = input.to(torch.promote_types(input.dtype, torch.float32))
    num_classes = input.shape[class_axis]
    rows = input.movedim(class_axis, -1).reshape(target.numel(), num_classes)
    try:
        z: Tensor = apply_cross_entropy(rows, target.reshape(-1), label_smoothing)
    except RuntimeError:
        outside = target[(target < 0) | (target >= num_classes)]
        if len(outside) == 0:
            raise
        raise IndexError(
            f"target {outside[0].item()} is not one of the {num_classes} classes, "
            f"0 to {num_classes - 1}"
        ) from None
    return z
