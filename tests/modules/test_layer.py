"""`ansnet.modules.layer`: what tools that read a network make of its layers."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from ansnet import modules
from ansnet.models import Network
from ansnet.modules import to_torch
from ansnet.modules.layer import ExactClassWarning

NOTATION = "CNR(4), M(2), res(CR(4)), CR(5), M(4), LNR(6), L(3)"


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    network = Network(NOTATION, in_shape=(3, 8, 8))
    network(torch.randn(4, 3, 8, 8))  # running averages
    return network.eval()


def test_fx_takes_layers_for_leaves(network: Network) -> None:
    traced = torch.fx.symbolic_trace(network)
    twins = torch.fx.symbolic_trace(to_torch(network))
    assert list(map(str, traced.graph.nodes)) == list(map(str, twins.graph.nodes))
    called = [node.target for node in traced.graph.nodes if node.op == "call_module"]
    assert len(called) == len([layer for layer in network.modules() if not list(layer.children())])
    x = torch.randn(2, 3, 8, 8)
    for mode in (True, False):
        assert torch.equal(traced.train(mode)(x), network.train(mode)(x))


def test_fx_traces_the_formula_s_operator_of_a_layer_alone() -> None:
    traced = torch.fx.symbolic_trace(modules.Linear(2, 3))
    assert [node.op for node in traced.graph.nodes].count("call_function") == 1
    x = torch.ones(1, 2)
    assert torch.equal(traced(x), torch.nn.functional.linear(x, traced.weight, traced.bias))


def test_torchvision_extracts_features_by_the_names_of_layers(network: Network) -> None:
    names, _ = get_graph_node_names(network)
    assert names == get_graph_node_names(to_torch(network))[0]
    features = create_feature_extractor(network, ["pool1", "relu2"])(torch.ones(1, 3, 8, 8))
    assert [tuple(feature.shape) for feature in features.values()] == [(1, 4, 4, 4), (1, 5, 4, 4)]


@pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated")
def test_torchscript_takes_the_twin(network: Network) -> None:
    scripted, x = torch.jit.script(network), torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(scripted(x), network(x))
    assert type(network[0]) is modules.Conv2d
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    torch.testing.assert_close(torch.jit.load(file)(x), network(x))


@pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated")
def test_torchscript_takes_a_layer_of_ours_in_a_network_of_another_s() -> None:
    network = nn.Sequential(modules.Linear(2, 2), nn.GELU())
    x = torch.randn(3, 2)
    torch.testing.assert_close(torch.jit.script(network)(x), network(x))


def test_part_of_a_network_is_a_sequence(network: Network) -> None:
    part = network[:3]
    assert type(part) is modules.Sequence
    assert [name for name, _ in part.named_children()] == ["conv1", "norm1", "relu1"]
    assert network[-1] is network.linear2
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(network[3:](part(x)), network(x))


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_node_of_a_hooked_layer_has_one_gradient(inplace: bool, training: bool) -> None:
    """As zennit counts on, which hooks the node of a layer's output."""
    ours = modules.Sequence(
        modules.BatchNorm2d(3), modules.ReLU(inplace), modules.MaxPool2d(2, ties="first")
    )
    ours.train(training)
    gradients: dict[str, list[tuple[Tensor, ...]]] = {}
    for name, network in (("ours", ours), ("theirs", to_torch(ours))):
        seen = gradients[name] = []

        def hook(layer: nn.Module, x: Any, z: Tensor, seen: list[Any] = seen) -> None:
            z.grad_fn.register_hook(lambda _, grad_z: seen.append(grad_z))

        for layer in network:
            layer.register_forward_hook(hook)
        torch.manual_seed(0)
        network(
            torch.randn(2, 3, 4, 4, dtype=torch.float32, requires_grad=True)
        ).square().sum().backward()
    assert [len(grads) for grads in gradients["ours"]] == [1, 1, 1]
    for ours_, theirs in zip(gradients["ours"], gradients["theirs"], strict=True):
        torch.testing.assert_close(ours_, theirs)


def test_a_layer_without_qconfig_has_none() -> None:
    layer = modules.Linear(2, 2)
    assert not hasattr(layer, "qconfig")
    with pytest.warns(ExactClassWarning, match=r"passes over this Linear.*to_torch\(network\)"):
        layer.qconfig = None
    assert layer.qconfig is None
    assert copy.deepcopy(layer).qconfig is None
    del layer.qconfig
    assert not hasattr(layer, "qconfig")
