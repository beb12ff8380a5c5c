"""Layers one after the other, computed as one where that is the same and quicker."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from ansnet.functional import batch_norm_relu2d, relu_max_pool2d
from ansnet.functional.function import calls_for_operator, has_function_mode
from ansnet.modules.activation import ReLU
from ansnet.modules.layer import Layer
from ansnet.modules.normalization import BatchNorm2d, apply_batch_norm
from ansnet.modules.pooling import MaxPool2d


class Sequence(Layer, nn.Sequential):
    """Layers in a row, in the place of `torch.nn.Sequential`.

    Where batch normalisation, ReLU and max-pooling (``ties="first"``, windows side by side) follow each
    other, or two of them do, they are computed by the one function that `ansnet.functional` has for
    them. The layers, their parameters and state-dict keys are what they would be otherwise.

    Nobody is to notice. So each is called by itself where somebody may be watching (`is_watched`,
    `is_as_made`), in what is exported, and in what `torch.compile` compiles as a whole, since it joins
    them itself.
    """

    twin = nn.Sequential

    def forward(self, input: Tensor) -> Tensor:
        start = 0
        while start < len(self):
            layers = list(self)[start:]  # anew at each step: a hook may have changed them
            length, function = first_step(layers, input)
            input = function(*layers[:length], input)
            start += length
        return input


def normalise(layer: BatchNorm2d, _: ReLU, input: Tensor) -> Tensor:
    return apply_batch_norm(layer, batch_norm_relu2d, input)


def normalise_and_pool(layer: BatchNorm2d, _: ReLU, pool: MaxPool2d, input: Tensor) -> Tensor:
    function = partial(batch_norm_relu2d, window_size=pool.kernel_size)
    return apply_batch_norm(layer, function, input)


def rectify_and_pool(_: ReLU, pool: MaxPool2d, input: Tensor) -> Tensor:
    return relu_max_pool2d(input, pool.kernel_size)


STEPS: dict[tuple[type[nn.Module], ...], Callable[..., Tensor]] = {
    (BatchNorm2d, ReLU, MaxPool2d): normalise_and_pool,
    (BatchNorm2d, ReLU): normalise,
    (ReLU, MaxPool2d): rectify_and_pool,
}


def first_step(layers: list[nn.Module], input: Tensor) -> tuple[int, Callable[..., Tensor]]:
    """How many of the layers make the first step, and the function that takes them and the input."""
    if torch.compiler.is_compiling() or type(layers[0]) not in FIRST:
        return ONE
    if calls_for_operator(input) or is_watched():
        return ONE
    for kinds, function in STEPS.items():
        candidates = layers[: len(kinds)]
        if tuple(map(type, candidates)) == kinds and are_one(candidates):
            return len(kinds), function
    return ONE


def call(layer: nn.Module, input: Tensor) -> Tensor:
    output: Tensor = layer(input)
    return output


def are_one(layers: list[nn.Module]) -> bool:
    """Whether the layers in a row are the one function, and nobody would notice."""
    first, *_, last = layers
    if isinstance(first, ReLU) and first.inplace:  # the input is written to, and may be somebody else's
        return False
    if isinstance(last, MaxPool2d) and not (last.ties == "first" and last.side_by_side):
        return False
    return all(map(is_as_made, layers))


def is_as_made(layer: Any) -> bool:
    """Whether calling the layer is its class's formula and nothing else.

    Not so with a hook, nor with anything at all that a new layer has not: a ``forward`` of its own, by
    which others replace that of the class, what `torch.nn.utils.prune` leaves, a compiled call.
    """
    kind: Any = type(layer)
    if calls(kind) != CALLS[kind]:
        return False
    attributes = vars(layer)
    return attributes.keys() == new_attributes(kind) and not any(map(attributes.get, HOOKS))


def calls(kind: Any) -> tuple[Any, ...]:
    """What a call of such a layer goes through."""
    return kind.forward, kind.twin.forward, kind.__call__, kind._call_impl


@cache
def new_attributes(kind: Callable[[int], nn.Module]) -> frozenset[str]:
    return frozenset(vars(kind(1)))  # one channel, a window of one; or in place


def is_watched() -> bool:
    """Whether each layer's call, or each operation, is reported to somebody: to hooks or to modes."""
    return _has_any_global_hook() or has_function_mode() or torch._C._len_torch_dispatch_stack() > 0


HOOKS = "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"
ONE: tuple[int, Callable[..., Tensor]] = (1, call)
FIRST = {kinds[0] for kinds in STEPS}
CALLS: dict[Any, Any] = {kind: calls(kind) for kind in (BatchNorm2d, ReLU, MaxPool2d)}
