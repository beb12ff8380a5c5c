"""`ansnet.training.board.predictions`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ansnet.training.board.predictions import SHOWN, Predictions


class Alone:
    """What one process says of the others."""

    root_device = torch.device("cpu")

    def reduce(self, tensor: Tensor, reduce_op: str) -> Tensor:
        assert reduce_op == "sum"
        return tensor

    def all_gather(self, tensor: Tensor) -> Tensor:
        return tensor


class Twice(Alone):
    """As if another process had seen the same images."""

    def reduce(self, tensor: Tensor, reduce_op: str) -> Tensor:
        return 2 * tensor

    def all_gather(self, tensor: Tensor) -> Tensor:
        return torch.stack([tensor, tensor])


ALONE: Any = Alone()
TWICE: Any = Twice()


def some(images: int, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    targets, scores = torch.randint(classes, (images,)), 3 * torch.randn(images, classes)
    return torch.randn(images, 3, 4, 4), targets, scores


def predictions(images: Tensor, targets: Tensor, scores: Tensor, batch: int) -> Predictions:
    gathered = Predictions()
    for each in zip(*(part.split(batch) for part in (images, targets, scores)), strict=True):
        gathered.add(*each)
    return gathered


@pytest.mark.parametrize("classes", [1, 3, 100])
@pytest.mark.parametrize("batch", [1, 7, 50, 200])
def test_whatever_the_batches_all_is_counted_and_the_worst_is_kept(classes: int, batch: int) -> None:
    images, targets, scores = some(200, classes)
    gathered = predictions(images, targets, scores, batch)
    counts = gathered.counts(ALONE)
    predicted, probabilities = scores.argmax(1), scores.softmax(1).amax(1)
    for i in range(classes):
        for j in range(min(classes, 4)):
            assert counts[i, j] == int(((targets == i) & (predicted == j)).sum())
    assert counts.sum() == 200
    wrong = [i for i in range(200) if predicted[i] != targets[i]]
    expected = sorted(wrong, key=lambda i: -float(probabilities[i]))[:SHOWN]
    mistakes = gathered.worst(ALONE)
    torch.testing.assert_close(mistakes.confidence, probabilities[expected])
    assert torch.equal(mistakes.images, images[expected])
    assert torch.equal(mistakes.targets, targets[expected])
    assert torch.equal(mistakes.predicted, predicted[expected])


def test_fewer_mistakes_than_are_shown() -> None:
    targets = torch.zeros(40, dtype=torch.long)
    scores = torch.tensor([[2.0, 0.0]]).repeat(40, 1)
    scores[7] = torch.tensor([0.0, 1.0])
    mistakes = predictions(torch.randn(40, 3, 2, 2), targets, scores, 10).worst(ALONE)
    assert len(mistakes.confidence) == 1
    assert mistakes.predicted.tolist() == [1]


def test_what_is_not_a_number_is_no_mistake_to_be_shown() -> None:
    scores = torch.full((5, 3), float("nan"))
    gathered = predictions(torch.randn(5, 3, 2, 2), torch.arange(5) % 3, scores, 5)
    assert len(gathered.worst(ALONE).confidence) == 0
    assert gathered.counts(ALONE).sum() == 5


def test_several_processes() -> None:
    images, targets, scores = some(60, 5)
    gathered = predictions(images, targets, scores, 20)
    assert (gathered.counts(TWICE) == 2 * gathered.counts(ALONE)).all()
    both, own = gathered.worst(TWICE), gathered.worst(ALONE)
    assert torch.equal(both.confidence, own.confidence.repeat_interleave(2)[:SHOWN])
