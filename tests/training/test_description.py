"""`ansnet.training.description`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ansnet.models import VGG7BN, Network, ResNet9, create_model, torch_twin
from ansnet.modules import SoftmaxCrossEntropy
from ansnet.training.description import (
    NotDescribedError,
    build_criterion,
    build_network,
    describe_criterion,
    describe_network,
    outline,
)

SMALL = "CNR(4), M(2), res(CNR(4)), M(4), LR(6), LN(3), L(5)"


@pytest.mark.parametrize("layers", ["ansnet", "torch"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_network_is_built_from_what_is_said_of_it(bias: bool, layers: str) -> None:
    network = Network(SMALL, (2, 9, 11), bias)
    if layers == "torch":
        network = torch_twin(network)
    description = describe_network(network)
    assert description == {
        "notation": SMALL,
        "in_shape": [2, 9, 11],
        "bias": bias,
        "layers": layers,
        "dtype": "float32",
    }
    rebuilt = build_network(description)
    assert outline(rebuilt) == outline(network)
    rebuilt.load_state_dict(network.state_dict())
    images = torch.randn(3, 2, 9, 11)
    assert torch.equal(rebuilt(images), network(images))


@pytest.mark.parametrize("model", ["vgg7", "vgg7bn", "resnet9"])
def test_the_models_are_described_as_they_lie_in_memory_and_compiled(model: str) -> None:
    network = create_model(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.compile()
    state = torch.get_rng_state()
    description = describe_network(network)
    assert torch.equal(torch.get_rng_state(), state)
    assert description["notation"] == network.notation


def test_a_network_comes_back_in_its_dtype() -> None:
    rebuilt = build_network(describe_network(Network(SMALL).double()))
    assert {tensor.dtype for tensor in rebuilt.parameters()} == {torch.float64}


def hooked(network: Network) -> Network:
    network[0].register_forward_hook(lambda layer, inputs, output: 2 * output)
    return network


def hooked_itself(network: Network) -> Network:
    network.register_forward_hook(lambda layer, inputs, output: 2 * output)
    return network


def patched(network: Network) -> Network:
    network[2].forward = torch.sigmoid
    return network


def patched_itself(network: Network) -> Network:
    network.forward = lambda x: 3 * Network.forward(network, x)  # type: ignore[method-assign]
    return network


def tied(network: Network) -> Network:
    layers = network.residual1
    layers.add_module("again", layers[0])
    return network


class Louder(Network):
    def __call__(self, *inputs: Any) -> Any:
        return 2 * super().__call__(*inputs)


@pytest.mark.parametrize("change", [hooked, hooked_itself, patched, patched_itself, tied])
def test_what_no_notation_says_is_not_described(change: Callable[[Network], Network]) -> None:
    assert describe_network(change(Network(SMALL))).keys() == {"class"}


def test_a_subclass_is_not_described() -> None:
    assert describe_network(Louder(SMALL)).keys() == {"class"}


def test_shared_weights_are_not_described() -> None:
    network = Network("CN(4), CN(4), CN(4), L(3)")
    network.conv3.weight = network.conv2.weight
    assert describe_network(network).keys() == {"class"}


def test_a_normalisation_of_several_processes_is_the_same_one() -> None:
    network = Network(SMALL)
    expected = describe_network(network)
    assert describe_network(nn.SyncBatchNorm.convert_sync_batchnorm(network)) == expected


class Loud(Network):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def with_fewer_classes() -> nn.Module:
    network = Network(SMALL)
    network.linear3 = nn.Linear(3, 2)
    return network


def with_another_activation() -> nn.Module:
    network = Network(SMALL)
    network.relu1 = nn.GELU()
    return network


def with_another_window() -> nn.Module:
    network = Network(SMALL)
    network.pool1.kernel_size = network.pool1.stride = 3
    return network


def with_one_more_layer() -> nn.Module:
    return Network(SMALL).append(nn.Softmax(1))


def with_less_of_its_weights() -> nn.Module:
    network = Network(SMALL)
    nn.utils.prune.l1_unstructured(network.conv1, "weight", 0.5)  # type: ignore[no-untyped-call]
    return network


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: nn.Linear(3, 2), "torch.nn.modules.linear.Linear"),
        (lambda: torch.compile(Network(SMALL)), "torch._dynamo.eval_frame.OptimizedModule"),
        (lambda: Loud(SMALL), f"{__name__}.Loud"),
        (with_fewer_classes, "ansnet.models.notation.Network"),
        (with_another_activation, "ansnet.models.notation.Network"),
        (with_another_window, "ansnet.models.notation.Network"),
        (with_one_more_layer, "ansnet.models.notation.Network"),
        (with_less_of_its_weights, "ansnet.models.notation.Network"),
    ],
)
def test_of_what_no_notation_describes_the_class_is_named(make: Any, name: str) -> None:
    description = describe_network(make())
    assert description == {"class": name}
    with pytest.raises(NotDescribedError, match=f"its network, a {name}.*; pass network="):
        build_network(description)


def test_a_subclass_that_computes_the_same_is_described() -> None:
    for network in (VGG7BN(7), ResNet9(7, bias=True, hidden_features=None)):
        assert outline(build_network(describe_network(network))) == outline(network)


@pytest.mark.parametrize(
    ("criterion", "layers"), [(SoftmaxCrossEntropy, "ansnet"), (nn.CrossEntropyLoss, "torch")]
)
def test_a_loss_is_built_from_what_is_said_of_it(criterion: type[nn.Module], layers: str) -> None:
    loss = criterion(label_smoothing=0.25)
    description = describe_criterion(loss)
    assert description == {"label_smoothing": 0.25, "layers": layers}
    rebuilt = build_criterion(description)
    assert type(rebuilt) is criterion
    scores, targets = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    assert torch.equal(rebuilt(scores, targets), loss(scores, targets))


@pytest.mark.parametrize(
    "criterion",
    [
        SoftmaxCrossEntropy(weight=torch.ones(3)),
        SoftmaxCrossEntropy(ignore_index=2),
        nn.CrossEntropyLoss(reduction="sum"),
        nn.MultiMarginLoss(),
    ],
)
def test_of_another_loss_the_class_is_named(criterion: nn.Module) -> None:
    description = describe_criterion(criterion)
    assert list(description) == ["class"]
    with pytest.raises(NotDescribedError, match=r"its criterion, a .*; pass criterion="):
        build_criterion(description)


def test_one_layer_of_the_other_kind_is_noticed() -> None:
    network = Network("CR(2), M(32), L(10)")
    network.relu1 = nn.ReLU()
    assert list(describe_network(network)) == ["class"]
