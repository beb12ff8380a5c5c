"""A network's layers under names that sort in their order, and what each makes of some images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from ansnet.training.board.histograms import Histogram, histogram


def numbered_layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers without layers of their own, each under its name with its number before it.

    Example:
        >>> [name for name, _ in numbered_layers(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))]
        ['1_0', '2_1']
    """
    layers = [
        (name, layer) for name, layer in network.named_modules() if name and not any(layer.children())
    ]
    digits = len(str(len(layers)))
    for number, (name, layer) in enumerate(layers, 1):
        yield f"{number:0{digits}}_{name}", layer


def numbered_parameters(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters of these layers, as ``01_conv1.weight``."""
    for layer_name, layer in numbered_layers(network):
        for name, parameter in layer.named_parameters(recurse=False):
            yield f"{layer_name}.{name}", parameter


def uncompiled_copy(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode, with the weights as they are now: PyTorch compiles no copy."""
    return deepcopy(network).eval()


def activations(network: nn.Module, images: Tensor) -> dict[str, Histogram]:
    """How the numbers that each layer gives for images are spread, by its numbered name.

    The network is not called, but a copy of it: no hook is left in it, nor anything compiled anew.

    Args:
        network: in any mode; its copy is in evaluation mode.
        images: N × C × H × W, on its device.
    """
    copy, spread = uncompiled_copy(network), dict[str, Histogram]()
    for name, layer in numbered_layers(copy):
        if not isinstance(layer, nn.Flatten | nn.Identity):  # which change no number
            layer.register_forward_hook(counting(name, spread))
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        copy(images)
    return spread


def counting(name: str, spread: dict[str, Histogram]) -> Callable[[nn.Module, object, object], None]:
    """A hook that adds the histogram of a layer's output."""

    def count(layer: nn.Module, inputs: object, output: object) -> None:
        counted = histogram(output) if isinstance(output, Tensor) else None
        if counted is not None:
            spread[name] = counted

    return count
