"""Where PyTorch's operator is asked for by its name, each function leaves it: `calls_for_operator`."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ansnet import functional
from ansnet.functional.normalization import TrainingModeWarning
from ansnet.testing.operations import random

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated"),
]
GAMMA, BETA, MEAN, VAR = map(torch.tensor, ([1.5, 0.5, -1], [0.1, 0, 1], [0.2, 0, -1], [0.5, 1, 2]))
TARGET = torch.tensor([0, 1, 2])
FILTERS = torch.linspace(-1, 1, 4 * 3 * 3 * 3).reshape(4, 3, 3, 3)
IMAGES = (2, 3, 6, 6)


def normalised(x: Tensor, function: Callable[..., Tensor], **settings: Any) -> Tensor:
    """By the three channels' running averages; PyTorch's function has another order of arguments."""
    if function is F.batch_norm:
        return function(x, MEAN.clone(), VAR.clone(), GAMMA, BETA, **settings)
    return function(x, GAMMA, BETA, MEAN.clone(), VAR.clone(), **settings)


OPERATIONS: dict[
    str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], tuple[int, ...]]
] = {
    "conv2d": (
        lambda x: functional.conv2d(x, FILTERS, stride=2, padding=1),
        lambda x: F.conv2d(x, FILTERS, stride=2, padding=1),
        IMAGES,
    ),
    "conv2d of one image": (
        lambda x: functional.conv2d(x, FILTERS, padding="same"),
        lambda x: F.conv2d(x, FILTERS, padding="same"),
        IMAGES[1:],
    ),
    "relu": (functional.relu, F.relu, IMAGES),
    "max_pool2d": (
        lambda x: functional.max_pool2d(x, 2, ties="first"),
        lambda x: F.max_pool2d(x, 2),
        IMAGES,
    ),
    "max_pool2d of windows that overlap": (
        lambda x: functional.max_pool2d(x, 3, 2, 1, 1, True, ties="first"),
        lambda x: F.max_pool2d(x, 3, 2, 1, 1, True),
        IMAGES,
    ),
    "relu_max_pool2d": (
        lambda x: functional.relu_max_pool2d(x, 2),
        lambda x: F.max_pool2d(F.relu(x), 2),
        IMAGES,
    ),
    "reshape": (lambda x: functional.reshape(x, 6, -1), lambda x: x.reshape(6, -1), IMAGES),
    "flatten": (lambda x: functional.flatten(x, 1), lambda x: torch.flatten(x, 1), IMAGES),
    "linear": (
        lambda x: functional.linear(x, FILTERS[0, 0]),
        lambda x: F.linear(x, FILTERS[0, 0]),
        (5, 3),
    ),
    "batch_norm1d": (
        lambda x: normalised(x, functional.batch_norm1d),
        lambda x: normalised(x, F.batch_norm),
        (5, 3),
    ),
    "batch_norm2d": (
        lambda x: normalised(x, functional.batch_norm2d),
        lambda x: normalised(x, F.batch_norm),
        IMAGES,
    ),
    "batch_norm_relu2d": (
        lambda x: normalised(x, functional.batch_norm_relu2d),
        lambda x: F.relu(normalised(x, F.batch_norm)),
        IMAGES,
    ),
    "batch_norm_relu2d, pooled": (
        lambda x: normalised(x, functional.batch_norm_relu2d, window_size=2),
        lambda x: F.max_pool2d(F.relu(normalised(x, F.batch_norm)), 2),
        IMAGES,
    ),
    "cross_entropy": (
        lambda x: functional.cross_entropy(x, TARGET, label_smoothing=0.1),
        lambda x: F.cross_entropy(x, TARGET, label_smoothing=0.1),
        (3, 4),
    ),
}


class Network(nn.Module):
    """The function as a network of its own."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.fixture(params=OPERATIONS)
def pair(request: pytest.FixtureRequest) -> tuple[nn.Module, nn.Module, Tensor]:
    """The function, PyTorch's, and an input."""
    ours, theirs, shape = OPERATIONS[request.param]
    return Network(ours), Network(theirs), random(*shape).detach().float()


def operators(graph: Any) -> list[str]:
    return [str(node.target) for node in graph.nodes if node.op == "call_function"]


@pytest.mark.parametrize("strict", [False, True])
def test_an_export_has_the_operators_of_pytorch(
    pair: tuple[nn.Module, nn.Module, Tensor], strict: bool
) -> None:
    *networks, x = pair
    ours, theirs = (torch.export.export(network, (x,), strict=strict) for network in networks)
    assert operators(ours.graph) == operators(theirs.graph) != []
    torch.testing.assert_close(ours.module()(x), theirs.module()(x), rtol=0, atol=0)


def test_an_export_has_one_operator_for_either_rule_of_ties() -> None:
    x = random(*IMAGES).detach().float()
    for settings in ((2,), (3, 2, 1)):
        exported = [
            torch.export.export(Network(lambda x, t=ties, s=settings: pool(x, t, s)), (x,))
            for ties in ("all", "first")
        ]
        assert operators(exported[0].graph) == operators(exported[1].graph)


def pool(x: Tensor, ties: Any, settings: tuple[int, ...]) -> Tensor:
    return functional.max_pool2d(x, *settings, ties=ties)


def test_torchscript_records_the_operators_of_pytorch(
    pair: tuple[nn.Module, nn.Module, Tensor],
) -> None:
    *networks, x = pair
    ours, theirs = (torch.jit.trace(network, x) for network in networks)
    kinds = [[node.kind() for node in traced.inlined_graph.nodes()] for traced in (ours, theirs)]
    assert kinds[0] == kinds[1]
    file = io.BytesIO()
    torch.jit.save(ours, file)
    file.seek(0)
    torch.testing.assert_close(torch.jit.load(file)(x), networks[1](x), rtol=0, atol=0)


def test_fx_records_the_functions_of_pytorch(pair: tuple[nn.Module, nn.Module, Tensor]) -> None:
    *networks, x = pair
    ours, theirs = (torch.fx.symbolic_trace(network) for network in networks)
    assert operators(ours.graph) == operators(theirs.graph)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=0)


class Noting(torch.Tensor):
    """A tensor that notes which functions it has been given to."""

    called: list[str]

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            result = function(*arguments, **(options or {}))
        given = [argument for argument in arguments if isinstance(argument, Noting)]
        return noting(result, [*given[0].called, function.__name__])


def noting(x: Tensor, called: list[str]) -> Noting:
    tensor = x.as_subclass(Noting)
    tensor.called = called
    return tensor


def test_a_tensor_that_has_a_say_is_given_to_the_functions_of_pytorch(
    pair: tuple[nn.Module, nn.Module, Tensor],
) -> None:
    *networks, x = pair
    ours, theirs = (network(noting(x, [])) for network in networks)
    assert ours.called == theirs.called != []
    assert torch.equal(ours.as_subclass(Tensor), theirs.as_subclass(Tensor))


def test_a_subclass_without_a_say_gets_the_formula() -> None:
    class Named(torch.Tensor):
        pass

    x = torch.tensor([-1.0, 1.0]).as_subclass(Named).requires_grad_()
    z = functional.relu(x)
    assert type(z) is Named
    assert z.grad_fn is not None
    assert "ReLU" in z.grad_fn.name()


@pytest.mark.parametrize("strict", [False, True])
def test_an_export_in_training_mode_says_so(strict: bool) -> None:
    network = Network(lambda x: normalised(x, functional.batch_norm2d, training=True))
    x = random(*IMAGES).detach().float()
    with pytest.warns(TrainingModeWarning, match=r"call \.eval\(\) before"):
        torch.export.export(network, (x,), strict=strict)


@pytest.mark.parametrize(
    "name", ["conv2d", "relu", "max_pool2d", "linear", "batch_norm", "cross_entropy"]
)
def test_a_function_that_somebody_has_replaced_is_called(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So do counters of operations that are told of each call."""
    images = torch.randn(2, 3, 6, 6)
    calls = {
        "conv2d": lambda: functional.conv2d(images, FILTERS),
        "relu": lambda: functional.relu(images),
        "max_pool2d": lambda: functional.max_pool2d(images, 2, ties="first"),
        "linear": lambda: functional.linear(images, torch.ones(4, 6)),
        "batch_norm": lambda: normalised(images, functional.batch_norm2d),
        "cross_entropy": lambda: functional.cross_entropy(images[0, 0], torch.arange(6)),
    }
    expected = calls[name]()
    original, seen = getattr(F, name), []

    def counted(*arguments: Any, **settings: Any) -> Any:
        seen.append(name)
        return original(*arguments, **settings)

    monkeypatch.setattr(F, name, counted)
    torch.testing.assert_close(calls[name](), expected)
    assert seen == [name]


def test_a_counter_does_not_change_what_ties_receive(monkeypatch: pytest.MonkeyPatch) -> None:
    original = F.max_pool2d
    monkeypatch.setattr(F, "max_pool2d", lambda *arguments: original(*arguments))
    x = torch.zeros(1, 1, 2, 2, requires_grad=True)
    functional.max_pool2d(x, 2, ties="all").backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]


class Noted(TorchFunctionMode):
    """Notes the names of the functions that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: list[str] = []

    def __torch_function__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        self.called.append(function.__name__)
        return function(*arguments, **(options or {}))


def test_a_mode_is_told_of_the_functions_of_pytorch(
    pair: tuple[nn.Module, nn.Module, Tensor],
) -> None:
    *networks, x = pair
    modes = Noted(), Noted()
    for mode, network in zip(modes, networks, strict=True):
        with mode:
            network(x)
    assert modes[0].called == modes[1].called != []


def test_under_a_mode_all_of_several_maxima_receive_nonetheless() -> None:
    x = torch.ones(1, 1, 2, 2, requires_grad=True)
    with Noted():
        functional.max_pool2d(x, 2).sum().backward()
    assert x.grad is not None
    assert x.grad.sum() == 4
