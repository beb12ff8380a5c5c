"""`ansnet.modules`: the same layers as PyTorch's, but for what the specification changes."""

from __future__ import annotations

import copy
import pickle
from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ansnet.modules as ours
from ansnet.testing.operations import distinct
from tests.functional.comparison import assert_equal, random

PAIRS: list[tuple[str, Any, Any, tuple[int, ...]]] = [
    ("Conv2d", (4, 6, (3, 2)), {"stride": 2, "padding": (1, 0), "groups": 2}, (2, 4, 7, 5)),
    ("Conv2d", (4, 6, 3), {}, (2, 4, 7, 5)),
    ("Conv2d", (4, 6, 3), {"padding": "same", "dilation": 2, "bias": False}, (2, 4, 7, 5)),
    ("Conv2d", (2, 3, 3), {"padding": (1, 2), "padding_mode": "reflect"}, (2, 2, 7, 5)),
    ("Conv2d", (2, 3, 2), {"padding": "same", "padding_mode": "circular"}, (2, 2, 7, 5)),
    ("Conv2d", (2, 3, 3), {"padding": 2, "stride": 2, "padding_mode": "replicate"}, (2, 7, 5)),
    ("ReLU", (), {}, (2, 3, 4)),
    ("ReLU", (), {"inplace": False}, (2, 3, 4)),
    ("MaxPool2d", (2,), {}, (2, 3, 5, 4)),
    ("MaxPool2d", ((1, 3),), {}, (2, 3, 5, 4)),
    ("MaxPool2d", (3, 2, 1), {}, (2, 3, 5, 4)),
    ("MaxPool2d", (2,), {"stride": 1, "dilation": 2, "ceil_mode": True}, (2, 3, 5, 4)),
    ("Flatten", (), {}, (2, 3, 4, 5)),
    ("Flatten", (0, -2), {}, (2, 3, 4, 5)),
    ("Linear", (5, 3), {}, (4, 5)),
    ("Linear", (5, 3), {"bias": False}, (2, 4, 5)),
    ("BatchNorm1d", (3,), {}, (4, 3)),
    ("BatchNorm1d", (3,), {}, (4, 3, 5)),
    ("BatchNorm2d", (3,), {"momentum": None}, (4, 3, 2, 5)),
    ("BatchNorm2d", (3,), {"affine": False, "track_running_stats": False, "eps": 0.1}, (4, 3, 2, 5)),
]  # fmt: skip


def both(name: str, arguments: Any, options: Any) -> tuple[nn.Module, nn.Module]:
    return (
        getattr(ours, name)(*arguments, **options).double(),
        getattr(nn, name)(*arguments, **options).double(),
    )


@pytest.mark.parametrize(("name", "arguments", "options", "shape"), PAIRS)
def test_weights_move_both_ways_and_results_agree(
    name: str, arguments: Any, options: Any, shape: tuple[int, ...]
) -> None:
    for into, source in (both(name, arguments, options), both(name, arguments, options)[::-1]):
        assert into.state_dict().keys() == source.state_dict().keys()
        for tensor in source.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.5, 1.5)
        into.load_state_dict(source.state_dict())
        for training in (True, False):
            into.train(training)
            source.train(training)
            # an accumulated rounding of float64 over at most some hundred terms
            assert_equal(into, source, [distinct(*shape)], 1e-10)
        for key, value in source.state_dict().items():
            torch.testing.assert_close(into.state_dict()[key], value)


@pytest.mark.parametrize("momentum", [None, 0.0, 0.3])
@pytest.mark.parametrize(("name", "shape"), [("BatchNorm1d", (4, 3)), ("BatchNorm2d", (4, 3, 2, 5))])
def test_the_running_averages_of_several_batches_are_pytorchs(
    name: str, shape: tuple[int, ...], momentum: float | None
) -> None:
    layer, reference = both(name, (3,), {"momentum": momentum})
    for _ in range(3):
        x = torch.randn(shape, dtype=torch.float64)
        layer(x), reference(x)
        torch.testing.assert_close(layer.state_dict(), reference.state_dict(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}])
def test_the_loss_is_pytorchs(options: dict[str, float]) -> None:
    target = torch.randint(10, (7,))
    assert_equal(
        lambda x: ours.SoftmaxCrossEntropy(**options)(x, target),
        lambda x: nn.CrossEntropyLoss(**options)(x, target),
        [random(7, 10)],
        1e-12,
    )


@pytest.mark.parametrize(
    "options", [{}, {"ignore_index": 2, "reduction": "none"}, {"reduction": "sum"}]
)
def test_the_loss_has_its_weight_as_a_buffer(options: Any) -> None:
    weight, target = torch.rand(4), torch.tensor([0, 2, 3])
    loss, twin = (kind(weight, **options) for kind in (ours.SoftmaxCrossEntropy, nn.CrossEntropyLoss))
    assert loss.state_dict().keys() == twin.state_dict().keys() == {"weight"}
    assert_equal(
        lambda x: loss(x, target), lambda x: twin(x, target), [random(3, 4, dtype=torch.float32)], 1e-6
    )
    assert loss.double().weight.dtype == torch.float64


@pytest.mark.parametrize(
    "layer",
    [
        lambda **options: ours.Conv2d(2, 3, 3, **options),
        lambda **options: ours.Linear(2, 3, **options),
        lambda **options: ours.BatchNorm1d(3, **options),
        lambda **options: ours.BatchNorm2d(3, **options),
    ],
)
def test_parameters_are_made_where_and_as_asked_for(layer: Any) -> None:
    for tensor in layer(device="meta", dtype=torch.float64).state_dict().values():
        assert tensor.device.type == "meta"
        assert tensor.dtype in (torch.float64, torch.int64)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: ours.MaxPool2d(2, return_indices=True), "MaxPool2d leaves return_indices=True out"),
        (lambda: ours.SoftmaxCrossEntropy(size_average=True), "size_average=True out"),
        (lambda: ours.SoftmaxCrossEntropy(reduce=False), "reduce=False out"),
        (lambda: ours.ReLU()(torch.eye(2).to_sparse()), "relu leaves sparse_coo tensors out"),
    ],
)
def test_what_is_left_out_is_refused_with_the_reason(make: Any, what: str) -> None:
    with pytest.raises(NotImplementedError, match=what):
        make()


def test_a_number_in_the_place_of_the_weight_is_refused() -> None:
    with pytest.raises(TypeError, match=r"write label_smoothing=0\.1"):
        ours.SoftmaxCrossEntropy(0.1)  # type: ignore[arg-type]


def test_flatten_of_an_empty_batch() -> None:
    assert ours.Flatten()(torch.zeros(0, 3, 4)).shape == (0, 12)


def test_pooling_can_break_ties_as_pytorch_does() -> None:
    x = torch.zeros(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert_equal(ours.MaxPool2d(2, ties="first"), nn.MaxPool2d(2), [x], 0)


def assert_uniform(weight: Tensor, bound: float) -> None:
    """Sample extremes, mean and deviation of U(−bound, bound), within 5 standard errors."""
    standard_error = 1 / sqrt(weight.numel())
    assert weight.abs().max() <= bound
    assert weight.abs().max() > 0.99 * bound
    assert abs(weight.mean()) < 5 * standard_error * bound / sqrt(3)
    assert abs(weight.std() - bound / sqrt(3)) < 5 * standard_error * bound / sqrt(3)


@pytest.mark.parametrize(("window", "groups"), [((3, 3), 1), ((3, 5), 4)])
def test_convolution_starts_as_specified(window: tuple[int, int], groups: int) -> None:
    layer = ours.Conv2d(32, 64, window, groups=groups)
    assert_uniform(layer.weight, 1 / sqrt(32 / groups * window[0] * window[1]))
    assert layer.bias is not None
    assert (layer.bias == 0).all()
    assert ours.Conv2d(3, 4, 3, bias=False).bias is None


def test_linear_starts_as_specified() -> None:
    layer = ours.Linear(100, 200)
    assert_uniform(layer.weight, 1 / sqrt(100))
    assert (layer.bias == 0).all()
    assert ours.Linear(3, 4, bias=False).bias is None


@pytest.mark.parametrize("kind", [ours.BatchNorm1d, ours.BatchNorm2d])
def test_batch_norm_starts_as_specified(kind: Any) -> None:
    state = kind(5).state_dict()
    assert {name: value.unique().tolist() for name, value in state.items()} == {
        "weight": [1],
        "bias": [0],
        "running_mean": [0],
        "running_var": [1],
        "num_batches_tracked": [0],
    }


def test_batch_norm_is_found_by_the_conversion_to_synchronised_batch_norm() -> None:
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(ours.BatchNorm2d(3)))
    assert isinstance(converted[0], nn.SyncBatchNorm)


def test_residual_adds_its_input() -> None:
    block = ours.Residual(ours.ReLU())
    assert block(torch.tensor([-1.0, 2.0])).tolist() == [-1, 4]


@pytest.mark.parametrize(("name", "arguments", "options", "shape"), PAIRS)
def test_layers_are_copied_and_pickled(
    name: str, arguments: Any, options: Any, shape: tuple[int, ...]
) -> None:
    layer = getattr(ours, name)(*arguments, **options).eval()
    x = torch.randn(shape)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x), layer(x))
        assert repr(twin) == repr(layer)


def test_averages_rest_where_they_are_not_to_be_tracked() -> None:
    layer = ours.BatchNorm2d(3)
    layer.track_running_stats = False  # of a layer that has averages
    twin = nn.BatchNorm2d(3)
    twin.track_running_stats = False
    for training in (True, False):
        x = torch.randn(4, 3, 2, 2)
        layer.train(training)
        twin.train(training)
        torch.testing.assert_close(layer(x), twin(x))
        for one, other in zip(layer.buffers(), twin.buffers(), strict=True):
            assert torch.equal(one, other)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_layers_without_inputs() -> None:
    assert ours.Linear(0, 4)(torch.zeros(2, 0)).shape == (2, 4)
    assert ours.Conv2d(0, 4, 3).weight.shape == (4, 0, 3, 3)
