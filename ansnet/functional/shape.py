r"""Reshape: the same elements in another shape.

Forward, backward and tangent::

    z = reshape(x; F_1, …, F_Z)
    x̄ = reshape(z̄; D_1, …, D_X)
    ż = reshape(ẋ; F_1, …, F_Z)

Shapes: x is D_1 × … × D_X, z is F_1 × … × F_Z, with as many elements; both in row-major order.
As in PyTorch, z shares the memory of x wherever the strides allow it.

Source: the notebook, "Operace Variable.reshape".
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ansnet.functional.function import compilable


class Reshape(torch.autograd.Function):
    """z = reshape(x; shape); the module's docstring has the formulas.

    ``Reshape.apply(x, shape)``.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, shape: tuple[int, ...]) -> Tensor:
        return x.reshape(shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, tuple[int, ...]], output: Tensor) -> None:
        x, _ = inputs
        ctx.x_shape, ctx.z_shape = x.shape, output.shape

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        return grad_z.reshape(ctx.x_shape), None

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor, _: None) -> Tensor:
        return tangent_x.reshape(ctx.z_shape)


apply_reshape = compilable(Reshape)


def reshape(input: Tensor, *shape: int | tuple[int, ...]) -> Tensor:
    """The elements of ``input`` in another shape; as ``torch.Tensor.reshape``.

    Args:
        input: any shape.
        shape: the new one, as ints or as one tuple; one of them may be -1, which stands for
            whatever fits.

    Returns:
        A view of ``input`` where the strides allow it, else a copy.

    Raises:
        RuntimeError: the number of elements doesn't fit, or more than one size is -1.
        TypeError: a size is not an int.

    Example:
        >>> reshape(torch.arange(6), 3, -1)
        tensor([[0, 1],
                [2, 3],
                [4, 5]])
    """
    sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    z: Tensor = apply_reshape(input, tuple(sizes))
    return z if torch.is_grad_enabled() else z.detach()  # a Function's view else requires grad
