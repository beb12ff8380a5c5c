"""`ansnet.modules.Sequence`: which layers are computed as one, and that it makes no difference."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ansnet import modules
from ansnet.models import Network, torch_twin
from ansnet.modules import sequence

NOTATION = "CNR(4), CNR(5), M(2), res(CNR(5), CR(5)), CR(6), M(2), M(2), LR(7), L(3)"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the fused steps that are taken."""
    taken: list[str] = []

    def noting(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def step(*arguments: object) -> Tensor:
            taken.append(function.__name__)
            return function(*arguments)

        return step

    fused = {kinds: noting(function) for kinds, function in sequence.STEPS.items()}
    monkeypatch.setattr(sequence, "STEPS", fused)
    return taken


def images() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(3, 3, 32, 32, dtype=torch.float64)


def test_what_is_fused_is_what_the_notation_has_in_a_row(steps: list[str]) -> None:
    Network(NOTATION).double()(images())
    assert steps == ["normalise", "normalise_and_pool", "normalise", "rectify_and_pool"]


@pytest.mark.parametrize("training", [True, False])
def test_it_is_the_same_network(training: bool) -> None:
    torch.manual_seed(1)
    network = Network(NOTATION).double().train(training)
    twin = torch_twin(network)
    results = []
    for each in (network, twin):
        for _ in range(2):  # running averages, too
            each.zero_grad()
            z = each(images())
            z.square().sum().backward()
        grads = [parameter.grad for parameter in each.parameters()]
        results.append((z, grads, list(each.buffers())))
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "register",
    [
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
    ],
)
def test_a_layer_with_a_hook_is_called(steps: list[str], register: str) -> None:
    network = Network(NOTATION).double()
    called: list[nn.Module] = []
    relu = network.get_submodule("relu2")
    getattr(relu, register)(lambda layer, *_: called.append(layer))
    network(images()).sum().backward()
    assert called == [relu]
    assert steps == ["normalise", "normalise", "rectify_and_pool"]


class Watcher:
    """Notes which layers are called, in one of the ways in which tools do."""

    def __init__(self) -> None:
        self.seen: list[nn.Module] = []

    def note(self, layer: nn.Module, *_: object) -> None:
        self.seen.append(layer)

    def replace_forward(self, layer: nn.Module) -> None:
        forward = layer.forward

        def noting(*arguments: Tensor) -> Tensor:
            self.note(layer)
            return forward(*arguments)

        layer.forward = noting  # type: ignore[method-assign]


def watched_layers(network: nn.Module) -> list[nn.Module]:
    return [layer for layer in network.modules() if not list(layer.children())]


def test_a_layer_whose_forward_is_replaced_is_called(steps: list[str]) -> None:
    network, watcher = Network(NOTATION).double(), Watcher()
    for layer in watched_layers(network):
        watcher.replace_forward(layer)
    network(images())
    assert watcher.seen == watched_layers(network)
    assert steps == []


@pytest.mark.parametrize("kind", [modules.BatchNorm2d, modules.ReLU, modules.MaxPool2d])
def test_a_class_whose_forward_is_replaced_is_called(
    steps: list[str], kind: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, watcher, forward = Network(NOTATION).double(), Watcher(), kind.forward

    def noting(layer: nn.Module, input: Tensor) -> Tensor:
        watcher.note(layer)
        output: Tensor = forward(layer, input)
        return output

    monkeypatch.setattr(kind, "forward", noting)
    network(images())
    assert watcher.seen == [layer for layer in watched_layers(network) if type(layer) is kind]


@pytest.mark.parametrize("name", ["__call__", "_call_impl", "_wrapped_call_impl"])
def test_each_layer_is_called_where_calls_are_replaced(
    steps: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, watcher, original = Network(NOTATION).double(), Watcher(), getattr(nn.Module, name)

    def noting(layer: nn.Module, *arguments: object) -> object:
        watcher.note(layer)
        return original(layer, *arguments)

    monkeypatch.setattr(nn.Module, name, noting)
    network(images())
    if watcher.seen:  # `__call__` is bound to `_wrapped_call_impl` once and for all
        assert set(watched_layers(network)) <= set(watcher.seen)
        assert steps == []


@pytest.mark.parametrize(
    "register",
    [
        "register_module_forward_hook",
        "register_module_forward_pre_hook",
        "register_module_full_backward_hook",
        "register_module_full_backward_pre_hook",
    ],
)
def test_global_hooks_see_each_layer(steps: list[str], register: str) -> None:
    network, watcher = Network(NOTATION).double(), Watcher()
    handle = getattr(nn.modules.module, register)(watcher.note)
    try:
        network(images().requires_grad_()).sum().backward()
    finally:
        handle.remove()
    assert set(watched_layers(network)) <= set(watcher.seen)
    assert steps == []
    network(images())
    assert steps


def test_modes_see_each_operation(steps: list[str]) -> None:
    class Dispatched(TorchDispatchMode):
        def __torch_dispatch__(
            self, function: Any, types: Any, arguments: Any = (), options: Any = None
        ) -> Any:
            return function(*arguments, **(options or {}))

    class Called(TorchFunctionMode):
        def __torch_function__(
            self, function: Any, types: Any, arguments: Any = (), options: Any = None
        ) -> Any:
            return function(*arguments, **(options or {}))

    network = Network(NOTATION).double()
    for mode in (Dispatched(), Called()):
        with mode:
            network(images())
    assert steps == []
    with torch.device("cpu"):  # a mode, too, but one that watches nothing
        network(images())
    assert steps


def test_what_a_hook_changes_is_seen_at_once(steps: list[str]) -> None:
    network, watcher = Network(NOTATION).double(), Watcher()
    handles: list[Any] = []

    def hook(*_: object) -> None:
        network.relu2 = nn.Sigmoid()
        handles.append(nn.modules.module.register_module_forward_hook(watcher.note))

    network.conv1.register_forward_hook(hook)
    try:
        z = network(images())
    finally:
        handles[0].remove()
    assert watcher.seen[:3] == [network.conv1, network.norm1, network.relu1] or watcher.seen[:2] == [
        network.norm1,
        network.relu1,
    ]
    assert network.relu2 in watcher.seen
    assert steps == []
    assert z.shape == (3, 3)


def test_what_a_new_layer_has_not_may_be_watching(steps: list[str]) -> None:
    layers = modules.BatchNorm2d(3), modules.ReLU(), modules.MaxPool2d(2, ties="first")
    for layer in layers:
        sequence = modules.Sequence(*map(deepcopy, layers))
        sequence(images().float())
        assert steps.pop() == "normalise_and_pool"
        sequence[layers.index(layer)].note = "seen by somebody"
        sequence(images().float())
        assert "normalise_and_pool" not in steps
        steps.clear()


def test_a_relu_that_writes_to_its_input_may_have_others_read_it(steps: list[str]) -> None:
    relu, pool = modules.ReLU(inplace=True), modules.MaxPool2d(2, ties="first")
    x = images()
    written = x.clone()
    modules.Sequence(relu, pool)(written)
    assert torch.equal(written, x.relu())
    assert steps == []
    modules.Sequence(modules.BatchNorm2d(3).double(), relu, pool)(x)  # nobody has what it is written to
    assert steps == ["normalise_and_pool"]


def test_other_layers_are_called_one_by_one(steps: list[str]) -> None:
    class Loud(modules.ReLU):
        pass

    norm, relu = modules.BatchNorm2d(3), modules.ReLU()
    x = images().float()
    for layers in (
        [norm, Loud()],
        [norm, nn.ReLU()],
        [nn.BatchNorm2d(3), relu],
        [relu, modules.MaxPool2d(2)],  # the notebook's rule for ties is another
        [relu, modules.MaxPool2d(3, 2, 1, ties="first")],
        [norm, Loud(), modules.MaxPool2d(2, ceil_mode=True, ties="first")],
        [relu, norm],
    ):
        expected = nn.Sequential(*layers)(x)
        torch.testing.assert_close(modules.Sequence(*layers)(x), expected, rtol=1e-5, atol=1e-5)
    assert steps == []
    modules.Sequence(norm, relu, modules.MaxPool2d(2))(x)
    assert steps == ["normalise"]
