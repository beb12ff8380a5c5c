r"""The rectified linear unit, applied to each element on its own.

Forward::

    z = x where x > 0, else 0

Backward::

    x̄ = z̄ where x > 0, else 0

Tangent::

    ż = ẋ where x > 0, else 0

At x = 0, where the derivative does not exist, it is taken as 0. Since ``z > 0`` exactly where
``x > 0``, the derivatives read z, which the next operation keeps anyway, and x can be freed. Not a
number stays not a number, both ways, so that a diverged network is seen.

Shapes: x and z, their gradients and tangents have the same, any.

Source: the notebook, "Rectified Linear Unit (ReLU)".
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional.function import calls_for_operator, compilable
from ansnet.functional.kernel import kernel
from ansnet.functional.left_out import refuse_layouts


class ReLU(torch.autograd.Function):
    """z = max(x, 0); the module's docstring has the formulas."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clamp(min=0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        return where_positive(z, grad_z)

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor) -> Tensor:
        (z,) = ctx.saved_tensors
        return where_positive(z, tangent_x)


apply_relu = compilable(ReLU)


@kernel
def where_positive(z: Tensor, derivative: Tensor) -> Tensor:
    return torch.where(z <= 0, 0, derivative)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Replace negative elements by zero; as ``torch.nn.functional.relu``.

    Args:
        input: any shape.
        inplace: write the result to ``input`` as well, in the place of what was there.

    Returns:
        A new tensor of the same shape and dtype; or ``input``.

    Raises:
        TypeError: ``input`` is not a tensor.
        RuntimeError: ``input`` is Boolean or complex, which have no order; or it is to be written to,
            and is a leaf of the graph that requires grad.

    Example:
        >>> relu(torch.tensor([-1.0, 0.0, 2.0]))
        tensor([0., 0., 2.])
    """
    if calls_for_operator(input):
        return F.relu(input, inplace)
    if not isinstance(input, Tensor):
        raise TypeError(f"relu expects a tensor, got {type(input).__name__}")
    refuse_layouts("relu", input)
    if input.dtype == torch.bool or input.is_complex():
        raise RuntimeError(f"relu is not defined for {input.dtype}")
    z: Tensor = apply_relu(input)
    return input.copy_(z) if inplace else z
