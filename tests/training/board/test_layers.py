"""`ansnet.training.board.layers`."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ansnet.models import create_model, torch_twin
from ansnet.training.board.histograms import histogram
from ansnet.training.board.layers import activations, numbered_layers, numbered_parameters

NOTATION = "CNR(4), M(2), res(CNR(4)), CR(5), M(16), L(7), R, L(10)"


def test_names_sort_in_the_order_of_the_layers() -> None:
    network = create_model(NOTATION)
    names = [name for name, _ in numbered_layers(network)]
    assert names == sorted(names)
    assert len(names) > 10
    assert [layer for _, layer in numbered_layers(network)] == [
        layer for layer in network.modules() if not any(layer.children())
    ]
    parameters = list(numbered_parameters(network))
    assert [id(parameter) for _, parameter in parameters] == list(map(id, network.parameters()))
    assert parameters[0][0] == "01_conv1.weight"


@pytest.mark.parametrize("ops", ["ansnet", "torch"])
def test_activations_are_what_each_layer_gives(ops: str) -> None:
    network: nn.Module = create_model(NOTATION)
    network = torch_twin(network) if ops == "torch" else network
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        network(images)  # so that the running means are not those of the beginning
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    spread = activations(network, images)
    assert network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not any(module._forward_hooks for module in network.modules())
    network.eval()
    x, following = images, dict(numbered_layers(network))
    for name in ("01_conv1", "02_norm1", "03_relu1", "04_pool1"):
        x = following[name](x)
        assert spread[name] == histogram(x)
    last = list(following)[-1]
    with torch.no_grad():
        counted = histogram(network(images))
    assert counted is not None
    assert spread[last].lowest == pytest.approx(counted.lowest, rel=1e-5)
    assert spread[last].highest == pytest.approx(counted.highest, rel=1e-5)
    assert not any("flatten" in name for name in spread)


def test_a_compiled_network_is_not_called() -> None:
    network = create_model("CR(4), M(8), L(10)")

    def refuse(*arguments: object) -> None:
        raise AssertionError("called")

    network._compiled_call_impl = refuse
    assert len(activations(network, torch.randn(2, 3, 32, 32))) == 4
