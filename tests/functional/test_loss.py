"""`ansnet.functional.loss`."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ansnet.functional import cross_entropy
from tests.functional.comparison import assert_differentiable, assert_equal, random

TOLERANCE = 1e-12


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 10), (7, 3), (128, 10)])
def test_equals_pytorch(shape: tuple[int, int], label_smoothing: float) -> None:
    target = torch.randint(shape[1], shape[:1])
    assert_equal(
        lambda x: cross_entropy(x, target, label_smoothing),
        lambda x: F.cross_entropy(x, target, label_smoothing=label_smoothing),
        [random(*shape)],
        TOLERANCE,
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_gradients(label_smoothing: float) -> None:
    target = torch.tensor([0, 3, 1])
    assert_differentiable(lambda x: cross_entropy(x, target, label_smoothing), [random(3, 4)])


@pytest.mark.parametrize("scale", [1e-30, 1e4, 1e30])
def test_logits_of_any_size(scale: float) -> None:
    x = (scale * torch.tensor([[1.0, -1.0, 0.5], [-1.0, 1.0, 0.0]])).requires_grad_()
    target = torch.tensor([1, 1])
    assert_equal(lambda x: cross_entropy(x, target), lambda x: F.cross_entropy(x, target), [x], 1e-6)


def test_an_impossible_class_that_is_not_the_target_does_no_harm() -> None:
    x = torch.tensor([[0.0, -torch.inf, 1.0]], requires_grad=True)
    target = torch.tensor([0])
    assert_equal(lambda x: cross_entropy(x, target), lambda x: F.cross_entropy(x, target), [x], 1e-6)


def test_of_no_samples_is_no_number_as_in_pytorch() -> None:
    x, target = random(0, 3), torch.zeros(0, dtype=torch.int64)
    loss = cross_entropy(x, target)
    assert loss.isnan()
    assert torch.autograd.grad(loss, x)[0].shape == (0, 3)


def test_under_autocast_it_is_float32() -> None:
    x = torch.randn(4, 3, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = cross_entropy(x, torch.tensor([0, 1, 2, 0]))
    loss.backward()
    assert loss.dtype == torch.float32
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16


def test_memory_layouts() -> None:
    target = torch.tensor([0, 3, 1])
    assert_equal(
        lambda x: cross_entropy(x.T[::2], target),
        lambda x: F.cross_entropy(x.T[::2], target),
        [random(4, 6)],
        TOLERANCE,
    )


@pytest.mark.parametrize(
    ("shape", "target", "smoothing", "error", "message"),
    [
        ((2, 3), [0, 3], 0.0, IndexError, "target 3 is not one of the 3 classes, 0 to 2"),
        ((2, 3), [0, -1], 0.0, IndexError, "target -1"),
        ((2, 3), [0], 0.0, ValueError, r"got \(2, 3\) and \(1,\)"),
        ((3,), [0], 0.0, ValueError, r"got \(3,\)"),
        ((2, 3), [0.0, 1.0], 0.0, RuntimeError, "got torch.float32"),
        ((2, 3), [0, 1], 1.5, RuntimeError, "between 0 and 1, got 1.5"),
    ],
)
def test_wrong_arguments_are_named(
    shape: tuple[int, ...], target: list[float], smoothing: float, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cross_entropy(torch.zeros(shape), torch.tensor(target), smoothing)


@pytest.mark.parametrize("label_smoothing", [-1.0, -0.1, 1.1, float("nan")])
def test_label_smoothing_is_a_share(label_smoothing: float) -> None:
    with pytest.raises(RuntimeError, match=f"between 0 and 1, got {label_smoothing}"):
        cross_entropy(torch.zeros(2, 3), torch.tensor([0, 2]), label_smoothing)
