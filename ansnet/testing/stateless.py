"""A module as a function of its inputs, parameters and buffers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree

State = dict[str, Tensor]
PREFIX = "module"  # what a module is called, of whose parts something is told


class Stateless:
    """A module as a function of its arguments and, last, of its parameters and buffers.

    `torch.func.functional_call` gives a module its own parameters back when the forward is done. Where
    a backward calls the module again (`torch.utils.checkpoint`, adjoint solvers, reversible blocks), it
    would be with those, and gradients of what was given would be 0. So here what was given stays, until
    the next call or `restored`; and the backward of an earlier call begins with putting back what that
    call was given.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.own = module_state(module)
        self.modes = modes_of(module)

    def __call__(self, *arguments: Any, **kwargs: Any) -> Any:
        *inputs, state = arguments
        if torch.compiler.is_compiling():
            return functional_call(self.module, state, tuple(inputs), kwargs)
        put = partial(self.put, dict(state))
        put()
        result = self.module(*inputs, **kwargs)
        self._note_changes(state)
        for output in pytree.tree_leaves(result):
            if isinstance(output, Tensor) and output.grad_fn is not None:
                output.grad_fn.register_prehook(lambda _: put())
        return result

    def put(self, state: State) -> None:
        """Make these the module's parameters and buffers; one that stands in several places in all."""
        for name, (own, places) in self.own.items():
            for held, key in places:
                held[key] = state.get(name, own)

    def restore(self) -> None:
        """Give the module its own parameters and buffers back, and let it train as it did."""
        self.put({})
        for name, part in self.module.named_modules(prefix=PREFIX):
            part.training = self.modes.get(f"{name}.training", part.training)

    def _note_changes(self, state: State) -> None:
        """A buffer that was assigned anew, rather than written to, is the state's from now on."""
        for name, (_, places) in self.own.items():
            held, key = places[0]
            now = held.get(key)
            if name in state and now is not None and now is not state[name]:
                state[name] = now.detach()


def module_state(module: nn.Module) -> dict[str, tuple[Tensor, list[tuple[Any, str]]]]:
    """Each parameter and buffer by its first name, with all places in which it stands."""
    found: dict[int, tuple[str, Tensor, list[tuple[Any, str]]]] = {}
    for prefix, part in module.named_modules():
        for held in (part._parameters, part._buffers):
            for key, tensor in held.items():
                if tensor is not None:
                    name = f"{prefix}.{key}" if prefix else key
                    found.setdefault(id(tensor), (name, tensor, []))[2].append((held, key))
    return {name: (tensor, places) for name, tensor, places in found.values()}


def modes_of(module: nn.Module) -> dict[str, bool]:
    """Whether a module and each of its parts train, and which of its parameters require grad."""
    modes = {f"{name}.training": part.training for name, part in module.named_modules(prefix=PREFIX)}
    return modes | {f"{name}.requires_grad": p.requires_grad for name, p in module.named_parameters()}


@contextmanager
def restored(functions: Iterable[Stateless]) -> Iterator[None]:
    """Before and afterwards the modules are as they were: see `Stateless.restore`."""
    restore(functions)
    try:
        yield
    finally:
        restore(functions)


def restore(functions: Iterable[Stateless]) -> None:
    """Restore each: see `Stateless.restore`."""
    for function in functions:
        function.restore()
