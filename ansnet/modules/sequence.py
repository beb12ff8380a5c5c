"""Layers one after the other, computed as one where that is the same and quicker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ansnet.functional import batch_norm_relu2d, relu_max_pool2d
from ansnet.modules.activation import ReLU
from ansnet.modules.normalization import BatchNorm2d, apply_batch_norm
from ansnet.modules.pooling import MaxPool2d


class Sequence(nn.Sequential):
    """Layers in a row, in the place of `torch.nn.Sequential`.

    Where batch normalisation, ReLU and max-pooling (``ties="first"``, windows side by side) follow each
    other, or two of them do, they are computed by the one function that `ansnet.functional` has for
    them. The layers, their parameters and state-dict keys are what they would be otherwise. Layers
    with hooks, which expect to be called, and layers of any other class, subclasses too, are called one
    by one; so are all in what `torch.compile` compiles as a whole, since it joins them itself.
    """

    def forward(self, input: Tensor) -> Tensor:
        layers = list(self)
        while layers:
            length, function = first_step(layers)
            input = function(*layers[:length], input)
            del layers[:length]
        return input


def normalise(layer: BatchNorm2d, _: ReLU, input: Tensor) -> Tensor:
    return apply_batch_norm(layer, batch_norm_relu2d, input)


def normalise_and_pool(layer: BatchNorm2d, _: ReLU, pool: MaxPool2d, input: Tensor) -> Tensor:
    function = partial(batch_norm_relu2d, window_size=pool.window_size)
    return apply_batch_norm(layer, function, input)


def rectify_and_pool(_: ReLU, pool: MaxPool2d, input: Tensor) -> Tensor:
    return relu_max_pool2d(input, pool.window_size)


STEPS: dict[tuple[type[nn.Module], ...], Callable[..., Tensor]] = {
    (BatchNorm2d, ReLU, MaxPool2d): normalise_and_pool,
    (BatchNorm2d, ReLU): normalise,
    (ReLU, MaxPool2d): rectify_and_pool,
}


def first_step(layers: list[nn.Module]) -> tuple[int, Callable[..., Tensor]]:
    """How many of the layers make the first step, and the function that takes them and the input."""
    if not torch.compiler.is_compiling():
        for kinds, function in STEPS.items():
            candidates = layers[: len(kinds)]
            if tuple(map(type, candidates)) == kinds and all(map(joins, candidates)):
                return len(kinds), function
    return 1, call


def call(layer: nn.Module, input: Tensor) -> Tensor:
    output: Tensor = layer(input)
    return output


def joins(layer: nn.Module) -> bool:
    """Whether nobody would notice that the layer itself is not called."""
    if isinstance(layer, MaxPool2d) and not (layer.ties == "first" and layer.side_by_side):
        return False
    return not has_hooks(layer)


def has_hooks(layer: Any) -> bool:
    return bool(
        layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
    )
