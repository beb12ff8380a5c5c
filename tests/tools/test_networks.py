"""Whole networks of torchvision's and timm's with our layers: logits, gradients, training, export."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from ansnet.compatibility import torchvision
from ansnet.modules import from_torch
from ansnet.modules.layer import Layer

pytestmark = [
    pytest.mark.tools,
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning"),
]


def of_timm(name: str) -> nn.Module:
    timm = pytest.importorskip("timm")
    network: nn.Module = timm.create_model(name)
    return network


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "torchvision resnet18": torchvision.models.resnet18,
    "torchvision resnext50_32x4d": torchvision.models.resnext50_32x4d,
    "torchvision vgg11": partial(torchvision.models.vgg11, dropout=0.0),
    "torchvision mobilenet_v2": partial(torchvision.models.mobilenet_v2, dropout=0.0),
    "torchvision convnext_tiny": partial(torchvision.models.convnext_tiny, stochastic_depth_prob=0.0),
    "timm resnet18": partial(of_timm, "resnet18"),
    "timm mobilenetv3_small_100": partial(of_timm, "mobilenetv3_small_100"),
    "timm convnext_atto": partial(of_timm, "convnext_atto"),
    "timm vit_tiny_patch16_224": partial(of_timm, "vit_tiny_patch16_224"),
}


@pytest.fixture(params=NETWORKS)
def pair(request: pytest.FixtureRequest) -> tuple[nn.Module, nn.Module, torch.Tensor]:
    """A network, the same with our layers, and images."""
    torch.manual_seed(0)
    network = NETWORKS[request.param]().double()
    for layer in network.modules():  # what is drawn at random is another matter
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    size = 224 if "vit" in request.param else 64
    converted = from_torch(network)
    assert any(isinstance(layer, Layer) for layer in converted.modules())
    return network, converted, torch.randn(2, 3, size, size, dtype=torch.float64)


def step(network: nn.Module, images: torch.Tensor) -> Any:
    logits = network(images)
    logits.square().mean().backward()
    return logits, [parameter.grad for parameter in network.parameters()]


@pytest.mark.parametrize("training", [True, False])
def test_logits_and_gradients_are_the_same(
    pair: tuple[nn.Module, nn.Module, torch.Tensor], training: bool
) -> None:
    network, converted, images = pair
    expected = step(network.train(training), images)
    torch.testing.assert_close(step(converted.train(training), images), expected, rtol=1e-8, atol=1e-8)


def test_they_train_alike(pair: tuple[nn.Module, nn.Module, torch.Tensor]) -> None:
    *networks, images = pair
    for network in networks:
        optimizer = torch.optim.SGD(network.parameters(), 1e-3)
        for _ in range(2):
            optimizer.zero_grad()
            step(network, images)
            optimizer.step()
    ours, theirs = (network.state_dict() for network in networks)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_they_are_exported_alike(pair: tuple[nn.Module, nn.Module, torch.Tensor]) -> None:
    *networks, images = pair
    exported = [torch.export.export(network.eval(), (images,)) for network in networks]
    operators = [[str(node.target) for node in each.graph.nodes] for each in exported]
    assert operators[0] == operators[1]
    ours, theirs = (each.module()(images) for each in exported)
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)
