"""`ansnet.training.divergence`: which trainings are called no success, and which are not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from ansnet.training.divergence import Guessing, Verdict, guessing, judge
from ansnet.training.history import Epoch, read_history
from ansnet.training.run import train
from ansnet.training.settings import Settings
from tests.training.small import few_shapes, small_settings

ROOT = Path(__file__).parents[2]
RECORDED = sorted(ROOT.glob("lightning_logs/reference/*/*/metrics.csv"))
TEN = guessing(torch.arange(10), 10)
SETTINGS = Settings.complete({"dataset": "shapes10", "lr": 0.5, "optimizer": "sgd"})


def epoch(number: int, train_loss: float, val_loss: float, val_accuracy: float = 0.1) -> Epoch:
    return Epoch(number, train_loss, 0.1, val_loss, val_accuracy)


UNTRAINED = epoch(0, 2.35, 2.34)


def verdict(*history: Epoch, steps: int = 500, images: int = 1000, **given: Any) -> str | None:
    found = judge(list(history), given.get("guess", TEN), steps, images, SETTINGS)
    return None if found is None else found.word


@pytest.mark.parametrize(
    ("targets", "smoothing", "expected"),
    [
        ([0, 1, 2, 3], 0.0, Guessing(math.log(4), 0.25)),
        ([0, 1, 2, 3], 0.5, Guessing(math.log(4), 0.25)),  # the best answer stays the same
        ([0, 0, 0, 1], 0.0, Guessing(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), 0.75)),
        ([2, 2], 0.0, Guessing(0.0, 1.0)),
    ],
)
def test_guessing(targets: list[int], smoothing: float, expected: Guessing) -> None:
    found = guessing(torch.tensor(targets), 4, smoothing)
    assert found.loss == pytest.approx(expected.loss, abs=1e-12)
    assert found.accuracy == expected.accuracy


def test_no_constant_answer_has_a_lower_loss_than_guessing() -> None:
    targets = torch.tensor([0, 0, 0, 1, 2, 2])
    answers = torch.randn(2000, 3).log_softmax(1)
    losses = [
        torch.nn.functional.cross_entropy(answer.expand(6, 3), targets, label_smoothing=0.2).item()
        for answer in answers
    ]
    guess = guessing(targets, 3, 0.2).loss
    assert guess <= min(losses) < guess + 0.01


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (epoch(3, 1e6, 1e6), "diverged"),
        (epoch(3, 4.8, 4.8), "diverged"),
        (epoch(3, 4.6, 4.8), "at chance"),  # less than twice the untrained network's
        (epoch(3, 0.2, 8.0, 0.6), None),  # learned by heart
        (epoch(3, 40.0, 1.9, 0.4), None),  # a bad beginning
        (epoch(3, 2.31, 2.31), "at chance"),
        (epoch(3, 2.31, 2.31, 0.16), None),  # two more would be six deviations
        (epoch(3, 2.31, 2.29), None),
        (epoch(3, 2.29, 2.31), None),
        (epoch(3, 0.7, 0.9, 0.7), None),
    ],
)
def test_what_a_training_is_called(last: Epoch, expected: str | None) -> None:
    assert verdict(UNTRAINED, epoch(1, 2.3, 2.3), last) == expected


def test_an_untrained_network_far_above_guessing_is_what_counts() -> None:
    first = epoch(0, 30.0, 40.0)
    assert verdict(first, epoch(1, 70.0, 70.0)) == "at chance"
    assert verdict(first, epoch(1, 70.0, 90.0)) == "diverged"


def test_few_steps_are_not_called_at_chance_and_may_be_called_diverged() -> None:
    assert verdict(UNTRAINED, epoch(1, 2.4, 2.4), steps=3) is None
    assert verdict(UNTRAINED, epoch(1, 24.0, 24.0), steps=3) == "diverged"


def test_without_the_untrained_network_guessing_is_what_counts() -> None:
    assert verdict(epoch(7, 4.7, 4.7)) == "diverged"
    assert verdict(epoch(7, 4.5, 4.5)) == "at chance"
    assert verdict(UNTRAINED) is None


def test_what_is_said_and_the_exit_code() -> None:
    diverged = judge([UNTRAINED, epoch(1, 1.5e6, 42.4242)], TEN, 10, 100, SETTINGS)
    assert diverged is not None
    assert str(diverged) == (
        "diverged     training loss 1.5e+06, validation loss 42.42; of guessing 2.303, of the "
        "untrained network 2.35;\n"
        "             lower the rate, as --lr 0.01, or clip gradients, as --gradient-clip-val 1"
    )
    assert diverged.exit_code == 1
    assert Verdict("at chance", "", "").exit_code == 0


@pytest.mark.parametrize("metrics", RECORDED, ids=lambda file: "/".join(file.parts[-3:-1]))
def test_no_recorded_run_is_called_anything(metrics: Path) -> None:
    history = read_history(metrics)
    assert judge(history, TEN, 10_000, 10_000, SETTINGS) is None
    # nor would it have been after any epoch before
    assert all(
        judge(history[:n], TEN, 10_000, 10_000, SETTINGS) is None for n in range(1, len(history))
    )


def test_there_are_recorded_runs() -> None:
    assert len(RECORDED) > 40


@pytest.mark.parametrize("limits", [{"limit_batches": 1}, {"overfit_batches": 1}, {}])
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_a_short_run_to_look_for_faults_is_called_nothing(
    tmp_path: Path, optimizer: str, limits: dict[str, int]
) -> None:
    with few_shapes(200, 100):
        model = "CNR(4), M(4), res(CNR(4)), M(4), LR(16), L(10)"
        given = {"max_epochs": 1, "optimizer": optimizer, "model": model}
        assert train(small_settings(tmp_path, **given, **limits)).verdict is None


def test_a_rate_at_which_the_loss_rises_and_stays(tmp_path: Path) -> None:
    with few_shapes(300, 100):
        result = train(small_settings(tmp_path, model="CNR(4), M(8), L(10)", optimizer="adam", lr=30.0))
    assert result.exit_code == 1
    assert str(result.verdict) in str(result)
