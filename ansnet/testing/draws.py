"""Random numbers that do not depend on how the tensors that they are drawn for lie in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ansnet.testing.sample import is_dense


class DrawnInOrder(TorchDispatchMode):
    """Operations that draw numbers do so in the order of the axes, whatever that in memory is.

    PyTorch fills memory as it comes. So of one seed, a transposed tensor gets other numbers in its
    places than a contiguous one, and no function that draws could give the same for both.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        is_ordered = all(not is_dense(tensor) or tensor.is_contiguous() for tensor in tensors)
        if is_ordered or torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        in_order = {id(tensor): tensor.contiguous() for tensor in tensors if is_dense(tensor)}
        args, kwargs = pytree.tree_map_only(Tensor, lambda t: in_order.get(id(t), t), (args, kwargs))
        result = func(*args, **kwargs)
        if func._schema.is_mutable:
            for tensor in tensors:
                if in_order.get(id(tensor), tensor) is not tensor:
                    tensor.copy_(in_order[id(tensor)])
            return next((t for t in tensors if in_order.get(id(t)) is result), result)
        return pytree.tree_map_only(Tensor, lambda drawn: _like(tensors[0], drawn), result)


def _like(tensor: Tensor, drawn: Tensor) -> Tensor:
    """What was drawn, in memory as the tensor that it was drawn for."""
    if drawn.shape != tensor.shape or not is_dense(tensor):
        return drawn
    return torch.empty_like(tensor, dtype=drawn.dtype).copy_(drawn)
