"""`ansnet.models.summary`, beside what PyTorch itself counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ansnet.models import create_model, torch_twin
from ansnet.models.summary import summarise


@pytest.mark.parametrize(
    "model", ["vgg7", "vgg7bn", "resnet9", "CNR(8), M(3), res(CR(8)), LNR(6), L(10)"]
)
def test_the_sums_are_those_that_pytorch_counts(model: str) -> None:
    network = create_model(model)
    layers = summarise(network)
    assert sum(layer.parameters for layer in layers) == sum(p.numel() for p in network.parameters())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        torch_twin(network).eval()(torch.zeros(1, 3, 32, 32))
    assert 2 * sum(layer.multiply_adds for layer in layers) == counter.get_total_flops()


def test_the_layers_are_named_in_the_order_of_their_calls() -> None:
    network = create_model("CNR(8), M(2), res(CR(8)), L(10)")
    layers = summarise(network)
    names = [
        "conv1",
        "norm1",
        "relu1",
        "pool1",
        "residual1.conv1",
        "residual1.relu1",
        "flatten",
        "linear1",
    ]
    assert [layer.name for layer in layers] == names
    assert [layer.shape for layer in layers][2:4] == [(8, 32, 32), (8, 16, 16)]
    assert layers[3].memory == 4 * 8 * 16 * 16


def test_groups_see_part_of_the_channels() -> None:
    (layer,) = summarise(nn.Sequential(nn.Conv2d(4, 8, 3, groups=2)), (4, 5, 5))
    assert layer.multiply_adds == 8 * 3 * 3 * (2 * 3 * 3)


def test_the_network_is_left_alone() -> None:
    network = create_model("vgg7bn").train()
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    summarise(network)
    assert network.training
    assert not any(layer._forward_hooks for layer in network.modules())
    torch.testing.assert_close(dict(network.state_dict()), state, rtol=0, atol=0)
