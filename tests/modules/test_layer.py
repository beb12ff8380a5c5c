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
@pytest.mark.parametrize("inside", [False, True])
def test_torchscript_is_refused_and_takes_the_twin(network: Network, inside: bool) -> None:
    whole = nn.Sequential(nn.GELU(), network) if inside else network
    layers = list(whole.modules())
    with pytest.raises(NotImplementedError, match=r"give torch.jit.script ansnet.modules.to_torch"):
        torch.jit.script(whole)
    assert list(whole.modules()) == layers  # the network that was given is as it was
    scripted, x = torch.jit.script(to_torch(whole)), torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(scripted(x), whole(x))
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    torch.testing.assert_close(torch.jit.load(file)(x), whole(x))


@pytest.mark.parametrize("named", ["input", "target"])
def test_inputs_may_be_named(named: str) -> None:
    loss = modules.SoftmaxCrossEntropy()
    x, t = torch.randn(3, 4), torch.tensor([0, 1, 3])
    options = {"target": t} if named == "target" else {"input": x, "target": t}
    assert loss(*[x][: 2 - len(options)], **options) == loss(x, t)


def test_a_replaced_forward_of_torch_nn_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = modules.Sequence(modules.ReLU(), modules.MaxPool2d(2, ties="first"))
    x = torch.randn(1, 2, 4, 4)
    expected = layers(10 * x)
    forward = nn.ReLU.forward
    monkeypatch.setattr(nn.ReLU, "forward", lambda layer, input: forward(layer, 10 * input))
    torch.testing.assert_close(layers(x), expected)


def test_a_replaced_conv_forward_is_called() -> None:
    conv = modules.Conv2d(3, 3, 3)
    conv._conv_forward = lambda input, weight, bias: 2 * input  # type: ignore[method-assign]
    x = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(conv(x), 2 * x)


def test_indices_asked_for_later_are_refused() -> None:
    pool = modules.MaxPool2d(2)
    pool.return_indices = True
    with pytest.raises(NotImplementedError, match="leaves return_indices=True out"):
        pool(torch.randn(1, 1, 2, 2))


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
