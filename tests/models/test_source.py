"""`ansnet.models.source`: the text builds the network, with the same names and layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ansnet.models import Network, create_model
from ansnet.models.source import plain_source
from ansnet.modules import to_torch


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "model", ["vgg7", "vgg7bn", "resnet9", "NRC(3), M(3), res(CN(3), R), LN(4), L(2)"]
)
def test_the_text_builds_the_network(model: str, bias: bool) -> None:
    notation = create_model(model).notation if model.isidentifier() else model
    network: Any = to_torch(Network(notation, bias=bias)).eval()
    names: dict[str, Any] = {}
    exec(plain_source(network), names)
    built: nn.Module = names["network"].eval()
    built.load_state_dict(network.state_dict())
    told = [(name, layer.extra_repr()) for name, layer in network.named_modules()]
    assert [(name, layer.extra_repr()) for name, layer in built.named_modules()] == told
    images = torch.randn(2, 3, 32, 32)
    assert built(images).equal(network(images))


def test_a_layer_of_no_notation_is_refused() -> None:
    with pytest.raises(TypeError, match="no notation has a layer GELU"):
        plain_source(nn.Sequential(nn.GELU()))
