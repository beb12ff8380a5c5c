"""`ansnet.training.progress`, beside a trainer that is only pretended."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ansnet.compatibility import lightning
from ansnet.training import progress as progress_module
from ansnet.training.progress import SmoothedProgress, readable_duration
from tests.training.pretended import Clock, batch, pretended

FIGURES = "train loss 1.5000 accuracy 25.00%  val loss 2.0000 accuracy 12.50%"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_module, "monotonic", clock)
    return clock


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The pictures that are asked of Lightning's bar, by the number of the batch."""
    pictures: list[int] = []

    def draw(self: Any, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        pictures.append(index)

    monkeypatch.setattr(lightning.callbacks.TQDMProgressBar, "on_train_batch_end", draw)
    return pictures


def progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> SmoothedProgress:
    with monkeypatch.context() as patch:
        patch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        return SmoothedProgress()


def test_a_bar_shows_the_figures_smoothed_from_those_before_training(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, shown: list[int]
) -> None:
    progress, trainer = progress_on_a_terminal(monkeypatch), pretended()
    assert progress.get_metrics(trainer, None) == {}
    progress.smoothed = torch.tensor([2.0, 0.1], dtype=torch.float64)
    progress.epoch_start = clock.now
    clock.now += 2.0
    for new in ([1.0, 0.3], [3.0, 0.0]):
        figures = torch.tensor(new, dtype=torch.float64)
        progress.on_train_batch_end(trainer, None, {"figures": figures}, batch(4), 0)
    expected = [0.99 * (0.99 * 2.0 + 0.01 * 1.0) + 0.01 * 3.0, 0.99 * (0.99 * 0.1 + 0.01 * 0.3)]
    assert progress.smoothed.tolist() == pytest.approx(expected, rel=1e-12)
    assert progress.get_metrics(trainer, None) == {
        "loss": "2.000",
        "accuracy": "10.1%",
        "images/s": "4",
    }


def test_a_resumed_run_which_knows_none_before_training_smooths_from_its_first_figures(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, shown: list[int]
) -> None:
    progress = progress_on_a_terminal(monkeypatch)
    outputs = {"figures": torch.tensor([1.0, 0.25])}
    progress.on_train_batch_end(pretended(), None, outputs, batch(4), 0)
    shown_first = progress.get_metrics(pretended(), None)
    assert (shown_first["loss"], shown_first["accuracy"]) == ("1.000", "25.0%")


def test_a_bar_is_drawn_ten_times_a_second_and_with_the_last_batch(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, shown: list[int]
) -> None:
    progress, outputs = progress_on_a_terminal(monkeypatch), {"figures": torch.ones(2)}
    for index, seconds in enumerate((0.0, 0.0625, 0.0, 0.0625, 0.0625)):
        clock.now += seconds
        progress.on_train_batch_end(pretended(), None, outputs, batch(4), index)
    assert shown == [0, 3]
    progress.on_train_batch_end(pretended(is_last_batch=True), None, outputs, batch(4), 5)
    assert shown == [0, 3, 5]


def test_the_bar_is_named_by_the_epoch_that_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    progress, titles = SmoothedProgress(), []
    trainer = pretended(current_epoch=2, num_training_batches=7)
    progress.setup(trainer, None, "fit")
    progress.on_train_start(trainer, None)
    monkeypatch.setattr(progress.train_progress_bar, "set_description", titles.append)
    progress.on_train_epoch_start(trainer)
    assert titles[-1] == "epoch 3/10"


def test_where_the_output_is_no_terminal_nothing_is_drawn(clock: Clock, shown: list[int]) -> None:
    progress, outputs = SmoothedProgress(), {"figures": torch.ones(2)}
    assert progress.is_disabled
    progress.on_train_batch_end(pretended(is_last_batch=True), None, outputs, batch(4), 0)
    assert shown == []


def beside_the_trainer() -> SmoothedProgress:
    progress = SmoothedProgress()
    progress.setup(pretended(), None, "fit")
    progress.val_progress_bar = progress.init_validation_tqdm()
    return progress


def test_the_time_left_is_measured_by_the_epochs_trained_since_the_start_of_this_run(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = beside_the_trainer()
    progress.on_train_start(pretended(current_epoch=3), None)  # resumed: three are completed
    for epoch, seconds, left in ((3, 60.0, "6:00 left"), (4, 30.0, "3:45 left"), (9, 60.0, "")):
        clock.now += seconds
        progress.on_train_epoch_end(pretended(current_epoch=epoch), None)
        line = f"{f'epoch {epoch + 1}/10':<15}  {FIGURES}  1,234 images/s"
        assert capsys.readouterr().out == (f"{line}  {left}\n" if left else f"{line}\n")


def test_what_the_untrained_network_measures_is_a_line_too(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = beside_the_trainer()
    progress.on_validation_end(pretended(), None)
    assert progress.smoothed is None  # a validation of the training has its line with its epoch
    assert capsys.readouterr().out == ""
    progress.on_validation_end(pretended(state=SimpleNamespace(fn="validate")), None)
    assert progress.smoothed.tolist() == [1.5, 0.25]
    assert capsys.readouterr().out == f"before training  {FIGURES}\n"
    other = pretended(state=SimpleNamespace(fn="validate"), is_global_zero=False)
    progress.on_validation_end(other, None)
    assert capsys.readouterr().out == ""  # one process of several writes


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599, "59:59"),
        (3600, "1:00:00"),
        (36661, "10:11:01"),
    ],
)
def test_a_duration_is_read_as_a_clock(seconds: float, text: str) -> None:
    assert readable_duration(seconds) == text


def test_while_it_validates_the_bar_says_by_which_images(monkeypatch: pytest.MonkeyPatch) -> None:
    progress, titles = beside_the_trainer(), list[str]()
    progress._trainer = trainer = pretended(sanity_checking=False, num_val_batches=[3, 5])
    monkeypatch.setattr(
        progress.val_progress_bar, "set_description", lambda title, **_: titles.append(title)
    )
    for loader in (0, 1):
        progress.on_validation_batch_start(trainer, None, batch(4), 1, loader)
    assert titles[1::2] == ["validation images", "training images"]  # each after Lightning's own
