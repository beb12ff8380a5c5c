"""What a network is made of, layer by layer: shapes, parameters, memory, multiply-adds."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

BYTES = 4  # of a number in float32


@dataclass(frozen=True)
class LayerSummary:
    """A layer, for one image.

    Attributes:
        name: in the network, as in its state dict.
        kind: its class.
        shape: of its output, without the batch.
        parameters: how many numbers it learns.
        multiply_adds: products that are summed, of convolutions and linear layers; biases,
            normalisation, ReLU and pooling count for nothing, as is usual.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int

    @property
    def memory(self) -> int:
        """Bytes of the output in float32."""
        return BYTES * torch.Size(self.shape).numel()


def summarise(network: nn.Module, in_shape: tuple[int, ...] = (3, 32, 32)) -> list[LayerSummary]:
    """Follow an image through a network, on the device "meta", where nothing is computed.

    Args:
        network: any; it is left alone.
        in_shape: of an image, channels × height × width.

    Returns:
        The layers in the order in which they are called, those without layers of their own.

    Raises:
        RuntimeError: the network does not take such an image.

    Example:
        >>> summarise(nn.Sequential(nn.Linear(4, 3)), (4,))
        [LayerSummary(name='0', kind='Linear', shape=(3,), parameters=15, multiply_adds=12)]
    """
    copy, lines = deepcopy(network).to("meta").eval(), list[LayerSummary]()
    for name, layer in copy.named_modules():
        if not any(True for _ in layer.children()):
            layer.register_forward_hook(noting(name, lines))
    with torch.no_grad():
        copy(torch.zeros(1, *in_shape, device="meta"))
    return lines


def noting(name: str, lines: list[LayerSummary]) -> Callable[[nn.Module, Any, Tensor], None]:
    """A hook that adds a layer's line."""

    def note(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        parameters = sum(parameter.numel() for parameter in layer.parameters())
        shape, products = tuple(output.shape[1:]), multiply_adds(layer, output)
        lines.append(LayerSummary(name, type(layer).__name__, shape, parameters, products))

    return note


def multiply_adds(layer: nn.Module, output: Tensor) -> int:
    """For each number of the output as many as the filter, or the row of the matrix, has."""
    if not isinstance(layer, nn.Conv2d | nn.Linear):
        return 0
    return output[0].numel() * layer.weight[0].numel()
