"""The networks that tools are asked about, and the images that are shown to them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ansnet.models import VGG7, VGG7BN, Network, ResNet9
from ansnet.modules import Linear, SoftmaxCrossEntropy, to_torch

EVERY_LAYER, PLAIN = "every layer", "plain"

NETWORKS: dict[str, Callable[[], Network]] = {
    EVERY_LAYER: lambda: Network("CNR(4), M(2), res(CNR(4)), CR(6), M(2), LNR(8), L(5)", (3, 8, 8)),
    PLAIN: lambda: Network("CR(4), M(2), CR(6), M(2), LR(8), L(5)", (3, 8, 8)),
    "VGG7": VGG7,
    "VGG7BN": VGG7BN,
    "ResNet9": ResNet9,
}

# Layers in a row, by the names of their classes in our network and in its twin
CONTAINERS = re.compile(r"\b(?:Network|Sequence|(?:Plain)?Residual|VGG7|VGG7BN|ResNet9)\b")

# The notebook's networks themselves
MODELS = ("VGG7", "VGG7BN", "ResNet9")

# For `tool`: what goes by the exact classes of layers, and the way round
BY_CLASS = "by the exact class: "
TO_TORCH: dict[str, Any] = {"way_round": "to_torch(network)", "prepare": to_torch}


def build(name: str, dtype: torch.dtype) -> Network:
    """The network of a name in evaluation mode, with biases and running averages drawn, too."""
    torch.manual_seed(0)
    network = NETWORKS[name]().to(dtype)
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.normal_(layer.running_mean, std=0.1)
        if isinstance(getattr(layer, "bias", None), Tensor):
            nn.init.normal_(layer.bias, std=0.1)
    return network.eval()


def images(network: nn.Module, batch: int = 2, seed: int = 0) -> Tensor:
    """Images of the network's shape and dtype, always the same."""
    generator = torch.Generator().manual_seed(seed)
    shape = getattr(network, "in_shape", (3, 32, 32))
    return torch.randn(batch, *shape, generator=generator, dtype=torch.float64).to(dtype_of(network))


def classes(network: nn.Module, batch: int = 2) -> Tensor:
    """A class for each image."""
    return torch.arange(batch) * 2 % network.out_features


def words(text: str) -> list[str]:
    """Of a table, without its lines and widths; the network's own class is no word of a tool's."""
    return re.findall(r"[^\s|│├└─=-]+", CONTAINERS.sub("Sequential", text))


def dtype_of(network: nn.Module) -> torch.dtype:
    return next(network.parameters()).dtype


def loss(network: nn.Module) -> nn.Module:
    """The loss that belongs to the layers: ours for ours, PyTorch's for the twin's."""
    ours = any(isinstance(layer, Linear) for layer in network.modules())
    return SoftmaxCrossEntropy() if ours else nn.CrossEntropyLoss()
