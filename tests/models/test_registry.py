"""`ansnet.models.registry` and the models that it lists."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ansnet.models import (
    VGG7,
    VGG7BN,
    Network,
    NotationError,
    ResNet9,
    UnknownModelError,
    create_model,
    list_models,
    torch_twin,
)
from ansnet.modules import SoftmaxCrossEntropy


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (VGG7(10), 4_178_570),
        (VGG7BN(10), 4_180_042),
        (ResNet9(10), 6_835_786),
        (ResNet9(10, hidden_features=None), 6_573_130),
        (VGG7(100), 4_178_570 + 90 * 513),
        (VGG7BN(10, bias=True), 4_180_042 + 64 + 128 + 256 + 512 + 512),
    ],
)
def test_number_of_parameters(network: Network, count: int) -> None:
    assert count_parameters(network) == count


def test_names_are_listed_by_pattern() -> None:
    assert list_models() == ["vgg7", "vgg7bn", "resnet9"]
    assert list_models("vgg*") == ["vgg7", "vgg7bn"]
    assert list_models("alexnet") == []


def test_made_by_name_and_by_notation() -> None:
    assert isinstance(create_model("resnet9"), ResNet9)
    assert create_model("vgg7", num_classes=3).out_features == 3
    assert [model().out_features for model in (VGG7, VGG7BN, ResNet9)] == [10, 10, 10]
    assert create_model("C(4), L(10)").notation == "C(4), L(10)"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownModelError, match="'resnet18': did you mean resnet9"):
        create_model("resnet18")
    with pytest.raises(UnknownModelError, match="'x': known are vgg7, vgg7bn, resnet9"):
        create_model("x")


def test_outputs_must_match_the_classes() -> None:
    with pytest.raises(NotationError, match=r"position 7 .*9 outputs, but there are 10 classes"):
        create_model("C(4), L(9)")
    with pytest.raises(NotationError, match=r"position 8 .*9 outputs"):  # the last L is wrong
        create_model("LR(8), L(9)")


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", list_models())
def test_equals_its_twin_of_pytorchs_layers(name: str, training: bool) -> None:
    network = create_model(name).double().train(training)
    with torch.no_grad():
        for parameter in network.parameters():  # at the start biases are 0, which hides their use
            parameter.add_(0.05 * torch.randn_like(parameter))
    twin = torch_twin(network)
    images, targets = torch.randn(3, 3, 32, 32, dtype=torch.float64), torch.tensor([0, 7, 3])
    results = []
    for one, criterion in ((network, SoftmaxCrossEntropy()), (twin, nn.CrossEntropyLoss())):
        scores = one(images)
        results.append(
            [scores, *torch.autograd.grad(criterion(scores, targets), list(one.parameters()))]
        )
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)  # float64 through 9 layers
    for name, value in twin.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], value, atol=1e-9, rtol=1e-9)
