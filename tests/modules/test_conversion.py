"""`ansnet.modules.conversion`: any network with ansnet's layers, and back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from ansnet import modules
from ansnet.compatibility import torchvision
from ansnet.models import Network
from ansnet.modules import from_torch, kept_layers, to_torch

PAIRS: list[tuple[type[nn.Module], type[nn.Module], tuple[Any, ...]]] = [
    (nn.BatchNorm1d, modules.BatchNorm1d, (3,)),
    (nn.BatchNorm2d, modules.BatchNorm2d, (3,)),
    (nn.Conv2d, modules.Conv2d, (3, 4, 3)),
    (nn.CrossEntropyLoss, modules.SoftmaxCrossEntropy, (torch.ones(3),)),
    (nn.Flatten, modules.Flatten, ()),
    (nn.Linear, modules.Linear, (3, 4)),
    (nn.MaxPool2d, modules.MaxPool2d, (2,)),
    (nn.ReLU, modules.ReLU, (True,)),
    (nn.Sequential, modules.Sequence, (nn.GELU(),)),
]


@pytest.mark.parametrize(("theirs", "ours", "arguments"), PAIRS)
def test_each_layer_has_its_counterpart(
    theirs: type[nn.Module], ours: type[nn.Module], arguments: tuple[Any, ...]
) -> None:
    layer = theirs(*arguments)
    converted: Any = from_torch(layer)
    back = to_torch(converted)
    assert (type(layer), type(converted), type(back)) == (theirs, ours, theirs)
    assert vars(layer).keys() == vars(back).keys()
    assert isinstance(converted, theirs)
    new = {} if ours is modules.Sequence else vars(ours(*arguments))
    assert not new or new.keys() == vars(converted).keys()


class PreActivation(nn.Module):
    """Reads what its ReLU has written to, as careless networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.relu(x)) + x


class Shared(nn.Module):
    """One layer in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def strange() -> nn.Sequential:
    """What networks may be made of, all at once."""
    conv = parametrizations.weight_norm(nn.Conv2d(3, 3, 3, 2, padding="valid", dilation=2))
    pruned = nn.Conv2d(3, 6, 3, groups=3)
    prune.l1_unstructured(pruned, "weight", 0.5)
    return nn.Sequential(
        nn.Conv2d(3, 3, 3),
        PreActivation(),
        conv,
        nn.BatchNorm2d(3, momentum=None),
        nn.ReLU6(inplace=True),
        pruned,
        nn.BatchNorm2d(6, track_running_stats=False, affine=False),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.Flatten(),
        nn.LazyLinear(8),
        nn.BatchNorm1d(8),
        nn.Unflatten(1, (2, 4)),
        Shared(),
        nn.Flatten(1),
        nn.Linear(8, 5),
    )


def results(network: nn.Module, x: Tensor) -> tuple[Any, ...]:
    """Two steps' outputs, each gradient, and each buffer."""
    x = x.clone().requires_grad_()
    for _ in range(2):
        z = network(x * 1)
        z.square().sum().backward()
    return z, x.grad, [parameter.grad for parameter in network.parameters()], list(network.buffers())


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.parametrize("training", [True, False])
def test_a_network_of_many_kinds_stays_the_same_network(training: bool) -> None:
    torch.manual_seed(0)
    network, x = strange().double(), torch.randn(4, 3, 20, 20, dtype=torch.float64)
    with torch.no_grad():  # copied are what no graph has made
        network(x)
    network.train(training)
    names, state = [name for name, _ in network.named_modules()], network.state_dict()
    converted = from_torch(network)
    assert [name for name, _ in converted.named_modules()] == names
    torch.testing.assert_close(dict(converted.state_dict()), dict(state))
    assert kept_layers(converted) == kept_layers(network) == {"4": "ReLU6", "11": "Unflatten"}
    back = to_torch(converted)
    expected = results(network, x)
    torch.testing.assert_close(results(converted, x), expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(results(back, x), expected, rtol=0, atol=0)


def slim_vgg11() -> nn.Module:
    """VGG-11 with fewer features behind the convolutions; `tests.tools` has all of them."""
    network: nn.Module = torchvision.models.vgg11(dropout=0.0)
    network.avgpool = nn.AdaptiveAvgPool2d(1)
    network.classifier[0], network.classifier[3] = nn.Linear(512, 64), nn.Linear(64, 64)
    network.classifier[6] = nn.Linear(64, 10)
    return network


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet18": torchvision.models.resnet18,
    "vgg11": slim_vgg11,
    "mobilenet_v2": partial(torchvision.models.mobilenet_v2, dropout=0.0),
    "convnext_tiny": partial(torchvision.models.convnext_tiny, stochastic_depth_prob=0.0),
}
KEPT = {
    "resnet18": {"AdaptiveAvgPool2d"},
    "vgg11": {"AdaptiveAvgPool2d", "Dropout"},
    "mobilenet_v2": {"Dropout", "ReLU6"},
    "convnext_tiny": {
        "AdaptiveAvgPool2d", "CNBlock", "GELU", "LayerNorm", "LayerNorm2d", "Permute", "StochasticDepth"
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("training", [True, False])
def test_torchvision_s_networks_have_the_same_logits_and_gradients(name: str, training: bool) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]().double().train(training)
    converted = from_torch(network)
    assert set(kept_layers(converted).values()) == KEPT[name]
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    logits, *others = results(network, x)
    ours, *our_others = results(converted, x)
    torch.testing.assert_close(ours, logits, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(our_others, others, rtol=1e-8, atol=1e-8)


def test_the_network_given_is_left_alone_unless_asked() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    converted = from_torch(network)
    assert type(network[0]) is nn.Linear
    assert converted[0].weight is not network[0].weight
    assert from_torch(network, inplace=True) is network
    assert type(network) is modules.Sequence
    assert type(network[0]) is modules.Linear


def test_mode_device_and_dtype_stay() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 1, device="meta", dtype=torch.float16), nn.BatchNorm2d(2))
    network[1].eval()
    network[0].weight.requires_grad_(False)
    converted = from_torch(network)
    assert [layer.training for layer in converted.modules()] == [True, True, False]
    assert converted[0].weight.device.type == "meta"
    assert converted[0].weight.dtype == torch.float16
    assert not converted[0].weight.requires_grad


def test_hooks_stay_the_same_hooks() -> None:
    class Recorder:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def hook(self, module: nn.Module, *_: object) -> None:
            self.seen.append(type(module).__name__)

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = 0
            self.register_forward_hook(self.counted)

        def counted(self, *_: object) -> None:
            self.count += 1

        def forward(self, x: Tensor) -> Tensor:
            return x

    recorder = Recorder()
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), Own())
    for layer in network:
        layer.register_forward_hook(recorder.hook)
    converted = from_torch(network)
    converted(torch.ones(1, 2)).sum().backward()
    assert recorder.seen == ["Linear", "ReLU", "Own"]
    assert (converted[2].count, network[2].count) == (1, 0)


def test_what_has_no_counterpart_is_listed() -> None:
    class Scaled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    replaced = nn.Linear(2, 2)
    replaced.forward = lambda x: x  # type: ignore[method-assign]
    padded = nn.Conv2d(2, 2, 1)
    padded._conv_forward = lambda x, w, b: x  # type: ignore[method-assign]
    network = nn.Sequential(
        Scaled(2, 2),
        replaced,
        nn.MaxPool2d(2, return_indices=True),
        nn.MultiheadAttention(4, 2),
        nn.Sequential(nn.ReLU(), nn.Conv1d(2, 2, 1)),
        padded,
    )
    converted = from_torch(network)
    assert kept_layers(converted) == {
        "0": "Scaled",
        "1": "Linear",
        "2": "MaxPool2d",
        "3": "MultiheadAttention",
        "3.out_proj": "NonDynamicallyQuantizableLinear",
        "4.1": "Conv1d",
        "5": "Conv2d",
    }
    assert torch.equal(converted[1](torch.ones(2)), torch.ones(2))
    assert converted[2](torch.ones(1, 2, 2))[1].dtype == torch.int64


def test_a_subclass_of_a_layer_of_ours_stays() -> None:
    class Named(modules.Linear):
        name = "mine"

    class Scaled(modules.Linear):
        def forward(self, input: Tensor) -> Tensor:
            output: Tensor = super().forward(input)
            return 2 * output

    layers = to_torch(modules.Sequence(Named(2, 2), Scaled(2, 2)))
    assert [type(layer) for layer in layers] == [Named, Scaled]


def test_a_network_in_notation_goes_back_to_a_sequential() -> None:
    network = Network("CNR(4), M(2), res(CNR(4)), LR(5), L(3)").double().eval()
    twin: Any = to_torch(network)
    assert type(twin) is nn.Sequential
    assert type(twin[0]) is nn.Conv2d
    assert type(twin.residual1[0]) is nn.Conv2d
    assert kept_layers(twin) == {}
    assert twin.notation == network.notation
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(network(x), twin(x))
    again = from_torch(twin)
    assert type(again.residual1) is modules.Residual
    torch.testing.assert_close(network(x), again(x))


def test_functions_stay_pytorch_s() -> None:
    class Functional(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(x)

    assert kept_layers(from_torch(Functional())) == {"": "Functional"}


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
@pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")
def test_what_is_exported_is_the_same(name: str) -> None:
    network = NETWORKS[name]().eval()
    x = torch.randn(2, 3, 64, 64)
    exported = [torch.export.export(each, (x,)) for each in (network, from_torch(network))]
    names = [[str(node.target) for node in each.graph.nodes] for each in exported]
    assert names[0] == names[1]


def test_what_is_pruned_is_copied() -> None:
    layer = nn.Linear(4, 3)
    prune.l1_unstructured(layer, "weight", 0.5)
    network = nn.Sequential(layer)
    x = torch.randn(2, 4)
    expected = network(x)
    converted = from_torch(network)
    assert converted[0].weight_orig is not layer.weight_orig
    torch.testing.assert_close(converted(x), expected)


@pytest.mark.parametrize("make", [lambda: nn.Conv2d(3, 4, 3), lambda: nn.BatchNorm2d(3)])
def test_per_sample_gradients_before_a_relu_in_place(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(make().double().eval(), nn.ReLU(inplace=True))
    converted, x = from_torch(network), torch.randn(4, 3, 5, 5, dtype=torch.float64)

    def gradients(network: nn.Module) -> torch.Tensor:
        return torch.func.vmap(torch.func.grad(lambda image: network(image[None]).sum()))(x)

    torch.testing.assert_close(gradients(converted), gradients(network))
