"""`ansnet.training.classifier`, beside a trainer that is only pretended; whole runs: test_run.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ansnet.training.classifier import ImageClassifier, SubsetMeans


class Scripted(nn.Module):
    """Answers each call with the next of the scores that were given."""

    def __init__(self, answers: list[Tensor]) -> None:
        super().__init__()
        self.answers = iter(answers)

    def forward(self, images: Tensor) -> Tensor:
        return next(self.answers)


def margins(*each: float) -> Tensor:
    """Scores of two classes, by which the first one leads."""
    return torch.tensor([[margin, 0.0] for margin in each])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_views_are_weighed(monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype) -> None:
    answers = [margins(1.0, 1.0)] * 2 + [margins(-0.875, -1.125)] * 4  # not shifted, and shifted
    network = Scripted([scores.to(dtype) for scores in answers])
    classifier = ImageClassifier(network, test_time_flip=True, test_time_shift=True)
    monkeypatch.setattr(ImageClassifier, "is_last_epoch", property(lambda self: True))
    monkeypatch.setattr(classifier, "log", lambda *unused, **options: None)
    monkeypatch.setattr(classifier, "log_dict", lambda *unused, **options: None)
    # 1 + 1 − ½ · 4 · 0.875 = 0.25 for the first class, 1 + 1 − ½ · 4 · 1.125 = −0.25 for the second
    classifier.validation_step((torch.zeros(2, 3, 4, 4), torch.tensor([0, 1])), 0)
    assert classifier.augmented_accuracy.compute().item() == 1.0
    assert classifier.val_means.accuracy.compute().item() == 0.5  # of the images alone


def test_what_it_does_unless_it_is_told_is_what_a_checkpoint_says() -> None:
    assert ImageClassifier(nn.Identity()).hparams == {
        "optimizer": "adam",
        "lr": 1e-3,
        "bias_lr_factor": 1.0,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 0.0,
        "decay_biases": False,
        "schedule": "constant",
        "warmup": 0.0,
        "test_time_flip": False,
        "test_time_shift": False,
    }


def test_it_trains_by_adam_at_a_thousandth_unless_it_is_told() -> None:
    optimizer = ImageClassifier(nn.Linear(3, 2)).make_optimizer()
    assert type(optimizer) is torch.optim.Adam
    assert [group["lr"] for group in optimizer.param_groups] == [1e-3, 1e-3]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.0]


def test_loss_and_accuracy_are_means_over_the_images() -> None:
    means = SubsetMeans()
    means.update(torch.tensor([2.0, 0.25]), 1)
    means.update(torch.tensor([4.0, 0.75]), 3)
    assert (means.loss.compute().item(), means.accuracy.compute().item()) == (3.5, 0.625)


@pytest.mark.parametrize(
    ("function", "epoch", "is_last"),
    [("fit", 4, True), ("fit", 3, False), ("fit", 5, False), ("validate", 4, False)],
)
def test_the_last_epoch_is_known(
    monkeypatch: pytest.MonkeyPatch, function: str, epoch: int, is_last: bool
) -> None:
    trainer: Any = SimpleNamespace(
        state=SimpleNamespace(fn=function), current_epoch=epoch, max_epochs=5
    )
    monkeypatch.setattr(ImageClassifier, "trainer", trainer)
    monkeypatch.setattr(ImageClassifier, "current_epoch", epoch)
    assert ImageClassifier(nn.Identity()).is_last_epoch is is_last
