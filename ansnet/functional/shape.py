r"""Reshape: the same elements in another shape.

Forward, backward and tangent::

    z = reshape(x; F_1, …, F_Z)
    x̄ = reshape(z̄; D_1, …, D_X)
    ż = reshape(ẋ; F_1, …, F_Z)

Shapes: x is D_1 × … × D_X, z is F_1 × … × F_Z, with as many elements; both in row-major order.

Memory: where autograd records, z is a copy, and elsewhere, as in PyTorch, a view of x wherever the
strides allow it. For autograd refuses writing in place to a view that a Function has made, since it
would have to replace the backward stated here by its own; to a copy it may be written, by
``nn.ReLU(inplace=True)`` for one. What differs from PyTorch: such writing does not reach x.

Source: the notebook, "Operace Variable.reshape".
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.functional.function import calls_for_operator, compilable, first_derivative_only


class Reshape(torch.autograd.Function):
    """z = reshape(x; shape); the module's docstring has the formulas.

    ``Reshape.apply(x, shape)``.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return x.reshape(shape).clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, tuple[int, ...]], output: Tensor) -> None:
        x, _ = inputs
        ctx.x_shape, ctx.z_shape = x.shape, output.shape

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        return grad_z.reshape(ctx.x_shape), None

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor, _: None) -> Tensor:
        return tangent_x.reshape(ctx.z_shape).clone()  # as z: what is written to it shall not reach x


apply_reshape = compilable(Reshape)


def reshape(input: Tensor, *shape: int | tuple[int, ...]) -> Tensor:
    """The elements of ``input`` in another shape; as ``torch.Tensor.reshape``.

    Args:
        input: any shape.
        shape: the new one, as ints or as one tuple; one of them may be -1, which stands for
            whatever fits.

    Returns:
        A view of ``input`` where the strides allow it and autograd does not record, else a copy. It may
        be written to in place, which changes ``input`` in a view only; in PyTorch also while autograd
        records.

    Raises:
        RuntimeError: the number of elements doesn't fit, or more than one size is -1.
        TypeError: a size is not an int.

    Example:
        >>> reshape(torch.arange(6), 3, -1)
        tensor([[0, 1],
                [2, 3],
                [4, 5]])
    """
    sizes: Any = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    if calls_for_operator(input):
        return input.reshape(tuple(sizes))
    if is_recorded(input):
        z: Tensor = apply_reshape(input, tuple(sizes))
        return z
    z = input.reshape(tuple(sizes))
    return z if torch.is_grad_enabled() else z.detach()  # a view of what requires grad else does too


def is_recorded(x: Tensor) -> bool:
    """Whether a derivative may be asked for: by autograd, by a tangent, by a transformation."""
    if torch.is_grad_enabled() and x.requires_grad:
        return True
    if torch._C._are_functorch_transforms_active():
        return True
    return not first_derivative_only(x) and not torch.compiler.is_compiling()


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merge neighbouring axes into one by `reshape`; as ``torch.flatten``.

    Args:
        input: any shape.
        start_dim, end_dim: the first and the last of the axes; negative ones count from behind.

    Returns:
        The elements of ``input``, as `reshape` returns them.

    Raises:
        IndexError: there is no such axis.
        RuntimeError: the last axis comes before the first.

    Example:
        >>> flatten(torch.zeros(2, 3, 4), 1).shape
        torch.Size([2, 12])
    """
    if calls_for_operator(input):
        return torch.flatten(input, start_dim, end_dim)
    num_axes = max(1, input.dim())  # a scalar counts as one axis
    for name, axis in (("start_dim", start_dim), ("end_dim", end_dim)):
        if not -num_axes <= axis < num_axes:
            raise IndexError(f"{name} must be from {-num_axes} to {num_axes - 1}, got {axis}")
    first, last = start_dim % num_axes, end_dim % num_axes
    if first > last:
        raise RuntimeError(f"start_dim={start_dim} comes after end_dim={end_dim} of {num_axes} axes")
    merged = input.shape[first : last + 1].numel()
    return reshape(input, (*input.shape[:first], merged, *input.shape[last + 1 :]))
