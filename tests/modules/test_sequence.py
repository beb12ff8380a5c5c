"""`ansnet.modules.Sequence`: which layers are computed as one, and that it makes no difference."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

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
