"""The arguments that a function is tried on."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree


class Sample:
    """Arguments to try a function with: ``Sample(x, w, stride=2)`` stands for ``f(x, w, stride=2)``.

    The tensors that require grad are the inputs to differentiate by; all others are constants. Tensors
    may lie in lists, tuples and dicts. Numerical derivatives are taken of every element, so samples
    are best of some dozen elements, in float64, and away from points without a derivative.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = kwargs

    def __repr__(self) -> str:
        arguments = [describe(value) for value in self.args]
        arguments += [f"{name}={describe(value)}" for name, value in self.kwargs.items()]
        return f"({', '.join(arguments)})"

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors among the arguments, in order."""
        return [leaf for leaf in self._leaves() if isinstance(leaf, Tensor)]

    @property
    def differentiable(self) -> list[Tensor]:
        """The tensors to differentiate by."""
        return [tensor for tensor in self.tensors if tensor.requires_grad]

    @property
    def constants(self) -> list[Tensor]:
        """The other tensors."""
        return [tensor for tensor in self.tensors if not tensor.requires_grad]

    @property
    def names(self) -> list[str]:
        """What to call each of `differentiable`: ``argument 0``, ``weight``."""
        paths, _ = pytree.tree_flatten_with_path((self.args, self.kwargs))
        return [
            path_name(path) for path, leaf in paths if isinstance(leaf, Tensor) and leaf.requires_grad
        ]

    def replace(self, tensors: Iterable[Tensor]) -> Sample:
        """The same arguments with other tensors in the place of `tensors`."""
        remaining = iter(tensors)
        leaves, structure = pytree.tree_flatten((self.args, self.kwargs))
        leaves = [next(remaining) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        args, kwargs = pytree.tree_unflatten(leaves, structure)
        return Sample(*args, **kwargs)

    def replace_differentiable(self, tensors: Iterable[Tensor]) -> Sample:
        """As `replace`, for `differentiable`; the constants are copied, in case they are changed."""
        remaining = iter(tensors)
        return self.replace(
            next(remaining) if tensor.requires_grad else tensor.clone() for tensor in self.tensors
        )

    def placing(self) -> Callable[[Sequence[Tensor]], Sample]:
        """`replace_differentiable`, in as little Python as can be: compilers trace every line."""
        leaves = self._leaves()
        alone = len(leaves) == len(self.args) and all(map(operator.is_, leaves, self.args))
        if self.kwargs or not alone:  # arguments by name, or containers, if only of one tensor
            return self.replace_differentiable
        inputs = iter(range(len(leaves)))
        places = [
            next(inputs) if isinstance(leaf, Tensor) and leaf.requires_grad else None for leaf in leaves
        ]

        def place(tensors: Sequence[Tensor]) -> Sample:
            return Sample(
                *[
                    tensors[place]
                    if place is not None
                    else leaf.clone()
                    if isinstance(leaf, Tensor)
                    else leaf
                    for leaf, place in zip(leaves, places, strict=True)
                ]
            )

        return place

    def map(self, change: Callable[[Tensor], Tensor]) -> Sample:
        """Change each tensor; those that required grad do so again, as new leaves."""
        return self.replace(
            change(tensor.detach()).detach().requires_grad_(tensor.requires_grad)
            for tensor in self.tensors
        )

    def to(self, dtype: torch.dtype) -> Sample:
        """Floating point tensors in another precision; complex ones in the one that fits it."""

        def convert(tensor: Tensor) -> Tensor:
            if tensor.is_complex():
                return tensor.to(dtype.to_complex())
            return tensor.to(dtype) if tensor.is_floating_point() else tensor

        return self.map(convert)

    def _leaves(self) -> list[Any]:
        leaves: list[Any] = pytree.tree_leaves((self.args, self.kwargs))
        return leaves


def describe(value: Any) -> str:
    """A tensor as ``float64[2, 3]``, also within lists and dicts, and anything else as it prints."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {describe(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)) and any(isinstance(item, Tensor) for item in value):
        return f"[{', '.join(map(describe, value))}]"
    return repr(value)


def path_name(path: tuple[Any, ...]) -> str:
    """What to call an argument, from its place in (args, kwargs): ``argument 0``, ``weight``."""
    return getattr(path[-1], "key", None) or f"argument {getattr(path[1], 'idx', '?')}"


def parts(tensor: Tensor) -> list[Tensor]:
    """The dense tensors that hold a tensor's numbers: itself, or a sparse one's indices and values."""
    if tensor.layout is torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return [tensor]


def is_dense(tensor: Tensor) -> bool:
    """Whether it has strides: neither sparse nor of a layout of its own."""
    return tensor.layout is torch.strided
