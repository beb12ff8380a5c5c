"""A network and its loss in plain words and numbers, as a checkpoint names them.

Nothing but what ``torch.load`` reads with ``weights_only=True``: a network by its notation, a loss by
its label smoothing, both by whose layers they are, ansnet's or `torch.nn`'s. What cannot be told so is
named by its class alone, and has to be given when the checkpoint is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ansnet.models import Network
from ansnet.models.registry import MODELS
from ansnet.modules import SoftmaxCrossEntropy, to_torch
from ansnet.modules.conversion import is_patched
from ansnet.modules.sequence import HOOKS

Description = dict[str, Any]

LAYERS = ("ansnet", "torch")
NOTED = ("notation", "in_shape", "bias")
LOSSES: dict[str, type[nn.Module]] = {"ansnet": SoftmaxCrossEntropy, "torch": nn.CrossEntropyLoss}


class NotDescribedError(ValueError):
    """A network or a loss that the checkpoint does not hold; the message says to pass it."""


def describe_network(network: nn.Module) -> Description:
    """What `build_network` makes the same network of, or its class where no notation says it.

    Layers may have been added, taken away or replaced since it was built, so the network of the
    description is laid beside it, layer by layer.

    Args:
        network: any.

    Returns:
        ``notation``, ``in_shape``, ``bias``, ``dtype`` and ``layers``, which are ``"ansnet"`` or
        ``"torch"``; or ``class``.
    """
    if is_noted(network) and not any(map(is_changed, network.modules())):
        noted: Any = network
        for layers in LAYERS:
            description = {
                "notation": noted.notation,
                "in_shape": [int(size) for size in noted.in_shape],
                "bias": bool(noted.bias),
                "layers": layers,
                "dtype": str(next(network.parameters()).dtype).removeprefix("torch."),
            }
            with torch.device("meta"):  # takes no memory, and draws no random numbers
                described = build_network(description)
            if outline(described) == outline(network):
                return description
    return {"class": name_of_class(network)}


def is_noted(network: nn.Module) -> bool:
    """Whether it is one of `ansnet.models`, or what `to_torch` has made of one."""
    known = Network, nn.Sequential, *MODELS.values()
    return type(network) in known and all(map(vars(network).__contains__, NOTED))


def is_changed(module: nn.Module) -> bool:
    """Whether a hook or a replaced method may make it compute something else."""
    return is_patched(module) or any(map(vars(module).get, HOOKS))


def outline(network: nn.Module) -> list[object]:
    """What a network computes by its layers, and the shapes of what they hold."""
    layers = [
        # converted for several processes, a batch normalisation is the same one
        (name, _BatchNorm if isinstance(layer, _BatchNorm) else type(layer), layer.extra_repr())
        for name, layer in network.named_modules()
        if name
    ]
    tensors = network.state_dict().items()
    shapes = [(name, tensor.shape, tensor.dtype) for name, tensor in tensors]
    return [layers, shapes, len(list(network.parameters()))]  # fewer, where layers share them


def build_network(description: Mapping[str, Any]) -> nn.Module:
    """The network of a description, freshly initialised.

    Raises:
        NotDescribedError: the description has its class only.
    """
    refuse_class(description, "network")
    channels, height, width = description["in_shape"]
    network = Network(description["notation"], (channels, height, width), description["bias"])
    network = network.to(getattr(torch, description.get("dtype", "float32")))
    return to_torch(network, inplace=True) if description["layers"] == "torch" else network


def describe_criterion(criterion: nn.Module) -> Description:
    """What `build_criterion` makes the same loss of, or its class where its label smoothing is not all.

    Returns:
        ``label_smoothing`` and ``layers``, which are ``"ansnet"`` or ``"torch"``; or ``class``.
    """
    for layers, kind in LOSSES.items():
        if type(criterion) is kind:
            description = {
                "label_smoothing": float(getattr(criterion, "label_smoothing", 0.0)),
                "layers": layers,
            }
            if arguments(build_criterion(description)) == arguments(criterion):
                return description
    return {"class": name_of_class(criterion)}


def arguments(criterion: Any) -> tuple[object, ...]:
    return criterion.weight is None, criterion.ignore_index, criterion.reduction


def build_criterion(description: Mapping[str, Any]) -> nn.Module:
    """The loss of a description.

    Raises:
        NotDescribedError: the description has its class only.
    """
    refuse_class(description, "criterion")
    kind: Callable[..., nn.Module] = LOSSES[description["layers"]]
    return kind(label_smoothing=description["label_smoothing"])


def refuse_class(description: Mapping[str, Any], argument: str) -> None:
    if "class" in description:
        raise NotDescribedError(
            f"the checkpoint does not hold its {argument}, a {description['class']}, but only its "
            f"weights; pass {argument}="
        )


def name_of_class(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"
