"""What operations read, write and allocate, as `TorchDispatchMode` sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ansnet.testing.preparation import keys_of
from ansnet.testing.sample import parts


class Recorder(TorchDispatchMode):
    """Records which memory each operation reads and writes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[tuple[str, set[int], set[int]]] = []
        self.read_by_python: set[int] = set()  # what a condition or a size depends on
        self.kept: list[Tensor] = []  # so that no memory, and with it its key, is used again

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        read = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        written = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
        self.kept += written
        reads, writes = (
            {key for tensor in tensors for key in keys_of(tensor)} for tensors in (read, written)
        )
        if not writes:
            self.read_by_python |= reads
        is_view = writes <= reads and not func._schema.is_mutable
        if reads and writes and not is_view:
            self.operations.append((str(func), reads, writes))
        return result

    def without_use_for(self, results: Sequence[Tensor]) -> list[str]:
        """The operations on tensors from which no way leads to the results, or to what Python reads."""
        needed = {key for tensor in results for key in keys_of(tensor)} | self.read_by_python
        needless = []
        for name, reads, writes in reversed(self.operations):
            if writes & needed:
                needed |= reads
            else:
                needless.append(name)
        return needless[::-1]


def memory_of(tensor: Tensor) -> int:
    """A key of the memory that a tensor and its views share."""
    key: int = tensor.untyped_storage()._cdata
    return key


class Allocations(TorchDispatchMode):
    """Sees all memory that operations allocate, without keeping it alive.

    What an operation reads that none before has made was there already: a tensor that the function has
    captured, of which a view may be taken.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.storages: dict[int, StorageWeakRef] = {}
        self.earlier: dict[
            int, StorageWeakRef
        ] = {}  # weak references keep the key from being used again

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not torch.ops.aten.lift_fresh.default:  # what `torch.tensor` has just made
            self._note(self.earlier, (args, kwargs), besides=self.storages)
        result = func(*args, **(kwargs or {}))
        self._note(self.storages, result, besides=self.earlier)
        return result

    def _note(
        self, found: dict[int, StorageWeakRef], tree: Any, besides: dict[int, StorageWeakRef]
    ) -> None:
        for leaf in pytree.tree_leaves(tree):
            for part in parts(leaf) if isinstance(leaf, Tensor) else ():
                key = memory_of(part)
                if key not in besides:
                    found[key] = StorageWeakRef(part.untyped_storage())

    def alive(self, besides: Sequence[Tensor]) -> int:
        """How many of them still are, not counting that of the given tensors."""
        known = {key for tensor in besides for key in keys_of(tensor)}
        return sum(not weak.expired() for key, weak in self.storages.items() if key not in known)
