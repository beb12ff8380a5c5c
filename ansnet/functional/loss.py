r"""Softmax cross-entropy: the negative log-likelihood of the targets under the softmax.

Forward, with y[n,c] the share of class c in the target of row n, w[c] the weight of the class::

    p[n,c] = exp(x[n,c]) / Σ_k exp(x[n,k])
    q[n,c] = w[c] · y[n,c]
    z[n]   = −Σ_c q[n,c] · log p[n,c]              reduction "none"
    z      = Σ_n z[n]                              "sum"
    z      = 1/W Σ_n z[n]                          "mean"

The target is a class t[n], or a probability of each class, t[n,c]; s is the label smoothing::

    y[n,c] = k[n] · ((1 − s) · 1[c = t[n]] + s/C)   W = Σ_n k[n] · w[t[n]]       of classes
    y[n,c] = (1 − s) · t[n,c] + s/C                 W = N                        of probabilities

where k[n] is 0 if t[n] is the class that is to be ignored, else 1.

Backward, with Q[n] = Σ_c q[n,c] and g[n] = z̄[n], z̄ or z̄/W, by the reduction::

    x̄[n,c] = g[n] · (Q[n] · p[n,c] − q[n,c])
    t̄[n,c] = −g[n] · (1 − s) · w[c] · log p[n,c]        of probabilities
    w̄[c]   = −Σ_n g[n] · y[n,c] · log p[n,c]            of probabilities

Tangent, of each row, to be reduced as z[n] is::

    ż[n] = Σ_c ẋ[n,c] · (Q[n] · p[n,c] − q[n,c]) − Σ_c q̇[n,c] · log p[n,c]
    q̇    = w · (1 − s) · ṫ + ẇ · y

The mean of classes without weights is the training's: x̄ = z̄ · (p − y)/N.

The logarithm is never taken of p, nor is exp of x alone: ``log p = x − log Σ exp x``, with the
row's maximum taken out of the sum, is exact for logits of any size. Half precision is computed in
float32, and rounded at the end.

Shapes: x is N × C (logits), t is N (integers 0 … C − 1) or N × C, w is C, z a scalar or N.
`cross_entropy` also takes one row, C, and rows that are spread over further axes, N × C × D_1 × ….

Source: the notebook, ``SoftmaxCrossEntropy`` of the exercise *linear-classification*; label
smoothing from Szegedy et al., *Rethinking the Inception architecture* (2016), section 7.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional.arguments import (
    as_dtype,
    as_int,
    at_least_float32,
    autocast_applies,
)
from ansnet.functional.function import calls_for_operator, compilable, is_transformed, save, saved
from ansnet.functional.left_out import refuse, refuse_layouts

Reduction = Literal["none", "mean", "sum"]
Options = tuple[int, Reduction, float]


class SoftmaxCrossEntropy(torch.autograd.Function):
    """z = cross-entropy of softmax(x) and classes; the module's docstring has the formulas.

    ``SoftmaxCrossEntropy.apply(x, target, w, (ignore_index, reduction, label_smoothing))``; w may be
    None, and is nothing to differentiate by.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, target: Tensor, w: Tensor | None, options: Options) -> Tensor:
        ignore_index, reduction, s = options
        log_p, (counts, t) = log_softmax(x), counted(target, ignore_index)
        z = -log_p.gather(1, t[:, None]).squeeze(1)
        if w is not None:
            z = z * at_least_float32(w).gather(0, t)
        if s:  # only then: 0 times the infinite log p of an impossible class is no number
            z = (1 - s) * z - spread(s, x) * weighted(log_p, w).sum(1)
        z = reduced(torch.where(counts, z, 0), reduction)
        if reduction == "mean":
            z = z / total_weight(counts, t, w, z.dtype)
        return as_dtype(z, x.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, target, w, ctx.options = inputs
        _, ctx.reduction, _ = ctx.options
        save(ctx, (x, target, w), (x, target, w))

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, ...]:
        x, target, w = saved(ctx, ctx.for_backward)
        dz, counts, share = derivative(x, target, w, ctx.options)
        g = torch.where(counts[:, None], of_rows(grad_z, ctx.reduction) * share, 0)
        return as_dtype(g * dz, x.dtype), None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor, *_: None) -> Tensor:
        x, target, w = saved(ctx, ctx.for_forward)
        dz, counts, share = derivative(x, target, w, ctx.options)
        tangents = torch.where(counts, (tangent_x * dz).sum(1) * share, 0)
        return as_dtype(reduced(tangents, ctx.reduction), x.dtype)


class SoftTargetCrossEntropy(torch.autograd.Function):
    """z = cross-entropy of softmax(x) and probabilities; the module's docstring has the formulas.

    ``SoftTargetCrossEntropy.apply(x, target, w, reduction, label_smoothing)``; w may be None.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, target: Tensor, w: Tensor | None, reduction: Reduction, s: float) -> Tensor:
        q = weighted(smoothed(target, s), w)
        z = reduced(-(q * log_softmax(x)).sum(1), reduction) / number_of_rows(x, reduction)
        return as_dtype(z, result_type(x, target, w))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, target, w, ctx.reduction, ctx.label_smoothing = inputs
        save(ctx, (x, target, w), (x, target, w))

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, ...]:
        (x, target, w), s = saved(ctx, ctx.for_backward), ctx.label_smoothing
        g = of_rows(at_least_float32(grad_z), ctx.reduction) / number_of_rows(x, ctx.reduction)
        grad_x = grad_target = grad_w = None
        if ctx.needs_input_grad[0]:
            q = weighted(smoothed(target, s), w)
            grad_x = as_dtype(g * (q.sum(1, keepdim=True) * softmax(x) - q), x.dtype)
        if ctx.needs_input_grad[1]:
            grad_target = as_dtype(-g * (1 - s) * weighted(log_softmax(x), w), target.dtype)
        if w is not None and ctx.needs_input_grad[2]:
            grad_w = as_dtype(-(g * smoothed(target, s) * log_softmax(x)).sum(0), w.dtype)
        return grad_x, grad_target, grad_w, None, None

    @staticmethod
    def jvp(
        ctx: Any, tangent_x: Tensor, tangent_target: Tensor, tangent_w: Tensor | None, *_: None
    ) -> Tensor:
        (x, target, w), s = saved(ctx, ctx.for_forward), ctx.label_smoothing
        y, log_p = smoothed(target, s), log_softmax(x)
        q, tangent_q = weighted(y, w), weighted((1 - s) * tangent_target, w)
        if tangent_w is not None:
            tangent_q = tangent_q + y * tangent_w
        through_x = tangent_x * (q.sum(1, keepdim=True) * softmax(x) - q)
        tangents = (through_x - tangent_q * log_p).sum(1)
        tangent_z = reduced(tangents, ctx.reduction) / number_of_rows(x, ctx.reduction)
        return as_dtype(tangent_z, result_type(x, target, w))


apply_cross_entropy = compilable(SoftmaxCrossEntropy)
apply_soft_target_cross_entropy = compilable(SoftTargetCrossEntropy)


def log_softmax(x: Tensor) -> Tensor:
    """The logarithm of p."""
    x = shifted(x)
    return x - x.exp().sum(1, keepdim=True).log()


def softmax(x: Tensor) -> Tensor:
    """The probabilities p."""
    exp_x = shifted(x).exp()
    return exp_x / exp_x.sum(1, keepdim=True)


def shifted(x: Tensor) -> Tensor:
    """The logits less the row's maximum, which changes no p; in float32 at least."""
    x = at_least_float32(x)
    return x - x.detach().amax(1, keepdim=True) if x.shape[1] else x


def counted(target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Whether each target counts, k, and the targets with class 0 in the place of those that do not."""
    counts = target != ignore_index
    return counts, torch.where(counts, target, 0)


def total_weight(counts: Tensor, t: Tensor, w: Tensor | None, dtype: torch.dtype) -> Tensor:
    """W = Σ_n k[n] · w[t[n]]."""
    if w is None:
        return counts.sum(dtype=dtype)
    return torch.where(counts, at_least_float32(w).gather(0, t), 0).sum()


def derivative(
    x: Tensor, target: Tensor, w: Tensor | None, options: Options
) -> tuple[Tensor, Tensor, Tensor | float]:
    """The derivative of z[n] by x, Q · p − q, whether row n counts, k, and its share in z, 1/W or 1."""
    ignore_index, reduction, s = options
    p, (counts, t) = softmax(x), counted(target, ignore_index)
    y = torch.zeros_like(p).scatter(1, t[:, None], 1 - s)
    q = weighted(y + spread(s, x) if s else y, w)
    dz = (p if w is None else q.sum(1, keepdim=True) * p) - q
    share = 1 / total_weight(counts, t, w, p.dtype) if reduction == "mean" else 1.0
    return dz, counts, share


def smoothed(target: Tensor, s: float) -> Tensor:
    """The shares y of the classes, from their probabilities."""
    y = at_least_float32(target)
    return (1 - s) * y + spread(s, y) if s else y


def spread(s: float, x: Tensor) -> float:
    """The share of each class in the smoothing, s/C, where there are any."""
    return s / max(1, x.shape[1])


def weighted(y: Tensor, w: Tensor | None) -> Tensor:
    """Each column times its class's weight; no weights are weights of 1."""
    return y if w is None else y * w


def reduced(z: Tensor, reduction: Reduction) -> Tensor:
    """The losses of the rows, or their sum."""
    return z if reduction == "none" else z.sum()


def number_of_rows(x: Tensor, reduction: Reduction) -> int:
    """What the mean divides by: N."""
    return len(x) if reduction == "mean" else 1


def of_rows(grad_z: Tensor, reduction: Reduction) -> Tensor:
    """z̄ as a column where each row has its own."""
    return grad_z[:, None] if reduction == "none" else grad_z


def result_type(x: Tensor, target: Tensor, w: Tensor | None) -> torch.dtype:
    """That of PyTorch, which multiplies the three."""
    dtype = torch.promote_types(x.dtype, target.dtype)
    return dtype if w is None else torch.promote_types(dtype, w.dtype)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
) -> Tensor:
    """Softmax cross-entropy; as ``torch.nn.functional.cross_entropy``.

    Under autocast it is computed in float32.

    Args:
        input: logits, N × C; also C, or N × C × D_1 × … .
        target: class indices, N (or a scalar, or N × D_1 × …) integers, ``torch.int64`` or
            ``torch.uint8``; or probabilities of the classes, in the shape of the input.
        weight: of each class, C; None stands for 1. Of probabilities it can be differentiated by.
        ignore_index: the target that counts for nothing, a class or not; only of class indices.
        reduction: ``"mean"`` over the targets that count, weighted as they are if they are classes;
            their ``"sum"``; or ``"none"``, the loss at each position.
        label_smoothing: share of the target that is spread over all C classes, 0 to 1.
        size_average, reduce: left out, see ``docs/complete.md``.

    Returns:
        A scalar, or the losses in the shape of the class indices. The mean is not a number when there
        is nothing that counts.

    Raises:
        ValueError: the input is a scalar, the target's shape is neither that of the input nor that
            without C, or the reduction is an unknown word.
        RuntimeError: a dtype is not the one described, the weight is not of shape C, or to be
            differentiated by with class indices, ``ignore_index`` is a class although the targets are
            probabilities, or ``label_smoothing`` is not between 0 and 1.
        TypeError: the weight is no tensor.
        IndexError: a target is not a class (on CUDA it is the device that notices).

    Example:
        >>> cross_entropy(torch.zeros(1, 4), torch.tensor([2]))
        tensor(1.3863)
    """
    refuse("cross_entropy", size_average=size_average, reduce=reduce)
    if calls_for_operator(input, target, weight):
        return F.cross_entropy(
            input,
            target,
            weight,
            ignore_index=ignore_index,
            reduction=reduction,
            label_smoothing=label_smoothing,
        )
    check_weight(weight)
    refuse_layouts("cross_entropy", input, target, weight)
    class_axis = min(1, input.dim() - 1)
    of_classes = target.shape != input.shape
    check_hyperparameters(ignore_index, reduction, label_smoothing)
    check_tensors(input, target, weight, of_classes)
    if autocast_applies(input):
        input, target = in_float32(input), in_float32(target)
        weight = None if weight is None else in_float32(weight)
    x = rows_of(input, class_axis)
    z: Tensor
    if not of_classes:
        if ignore_index >= 0:
            raise RuntimeError(
                "cross_entropy: ignore_index is for class indices, and the target has the shape of "
                f"probabilities; got ignore_index={ignore_index}"
            )
        y = rows_of(target, class_axis)
        z = apply_soft_target_cross_entropy(x, y, weight, reduction, label_smoothing)
    else:
        check_constant(weight, input.dtype)
        t = target.reshape(-1).long()
        z = of_known_classes(x, t, weight, (ignore_index, reduction, label_smoothing))
    positions = input.shape[:class_axis] + input.shape[class_axis + 1 :]
    return z.reshape(positions) if reduction == "none" else z


def rows_of(x: Tensor, class_axis: int) -> Tensor:
    """N × C of what may be C, or have further axes behind C."""
    if x.dim() == 2:
        return x
    num_rows = x.shape[:class_axis].numel() * x.shape[class_axis + 1 :].numel()
    return x.movedim(class_axis, -1).reshape(num_rows, x.shape[class_axis])


def of_known_classes(x: Tensor, t: Tensor, w: Tensor | None, options: Options) -> Tensor:
    """Apply `SoftmaxCrossEntropy`, and name the target that it stumbles over.

    Raises:
        IndexError: a target is not a class.
    """
    try:
        z: Tensor = apply_cross_entropy(x, t, w, options)
    except RuntimeError:
        if is_transformed():  # the values of a batch cannot be looked at
            raise
        num_classes, ignore_index = x.shape[1], options[0]
        outside = t[((t < 0) | (t >= num_classes)) & (t != ignore_index)]
        if len(outside) == 0:
            raise
        raise IndexError(
            f"target {outside[0].item()} is not one of the {num_classes} classes, "
            f"0 to {num_classes - 1}"
        ) from None
    return z


def in_float32(x: Tensor) -> Tensor:
    """What autocast makes of numbers in half precision; class indices stay integers."""
    return at_least_float32(x) if x.is_floating_point() else x


def check_hyperparameters(ignore_index: int, reduction: str, label_smoothing: float) -> None:
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if as_int(ignore_index) is None:
        raise TypeError(f"ignore_index must be an int, got {ignore_index!r}")
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0 and 1, got {label_smoothing}")


def check_tensors(input: Tensor, target: Tensor, weight: Tensor | None, of_classes: bool) -> None:
    class_axis = min(1, input.dim() - 1)
    positions = input.shape[:class_axis] + input.shape[class_axis + 1 :]
    if input.dim() == 0 or (of_classes and target.shape != positions):
        raise ValueError(
            "cross_entropy expects an input of shape (C,), (N, C) or (N, C, D_1, …) and a target of "
            "the same shape without C, or, of probabilities, with C, got "
            f"{tuple(input.shape)} and {tuple(target.shape)}"
        )
    if not input.is_floating_point():
        raise RuntimeError(f"cross_entropy is not defined for {input.dtype}")
    if not of_classes and not target.is_floating_point():
        raise RuntimeError(
            "cross_entropy expects probabilities, floating point numbers, where the target has the "
            f"shape of the input, got {target.dtype}"
        )
    if of_classes and target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(
            "cross_entropy expects class indices (torch.int64 or torch.uint8), or probabilities in the "
            f"shape of the input, got {target.dtype} of shape {tuple(target.shape)}"
        )
    num_classes = input.shape[class_axis]
    if weight is not None and weight.shape != (num_classes,):
        raise RuntimeError(
            f"cross_entropy of {num_classes} classes needs a weight of shape ({num_classes},), "
            f"got {tuple(weight.shape)}"
        )


def check_constant(weight: Tensor | None, dtype: torch.dtype) -> None:
    """Of class indices PyTorch's takes no other dtype, nor has it a derivative by the weight."""
    if weight is not None and weight.dtype != dtype:
        raise RuntimeError(
            f"cross_entropy of class indices needs a weight in the input's dtype, {dtype}, "
            f"got {weight.dtype}"
        )
    if weight is not None and weight.requires_grad:
        raise RuntimeError(
            "cross_entropy of class indices is not differentiable by the weight, which requires grad; "
            "of probabilities, such as one_hot(target), it is"
        )


def check_weight(weight: object) -> None:
    """A number in this place was the label smoothing once, and may be meant for it.

    Raises:
        TypeError: the weight is neither a tensor nor None.
    """
    if weight is not None and not isinstance(weight, Tensor):
        raise TypeError(
            f"the weight of cross_entropy must be a tensor of a number for each class, or None, got "
            f"{weight!r}; for label smoothing write label_smoothing={weight!r}"
        )
