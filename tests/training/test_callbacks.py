"""`ansnet.training.callbacks`, beside a trainer that is only pretended; whole runs: test_run.py."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ansnet.compatibility import lightning
from ansnet.training import callbacks
from ansnet.training.callbacks import EarlierRecord, SmoothedProgress, StepLog, readable_duration

EPOCH = {
    "train/loss": torch.tensor(1.5),
    "train/accuracy": torch.tensor(0.25),
    "val/loss": torch.tensor(2.0),
    "val/accuracy": torch.tensor(0.125),
    "images_per_second": torch.tensor(1234.4),
}
FIGURES = "train loss 1.5000 accuracy 25.00%  val loss 2.0000 accuracy 12.50%"


class Clock:
    """Of seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(callbacks, "monotonic", clock)
    monkeypatch.setattr(callbacks, "perf_counter", clock)
    return clock


class Logger:
    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, figures: dict[str, float], step: int) -> None:
        self.rows.append((step, figures))


def pretended(**state: Any) -> Any:
    """A trainer in the middle of its training, and whatever else the test says of it."""
    defaults: dict[str, Any] = {
        "current_epoch": 0,
        "max_epochs": 10,
        "global_step": 0,
        "world_size": 1,
        "is_last_batch": False,
        "is_global_zero": True,
        "callback_metrics": EPOCH,
        "optimizers": [SimpleNamespace(param_groups=[{"lr": 0.5}, {"lr": 32.0}])],
        "loggers": [],
        "state": SimpleNamespace(fn="fit"),
    }
    return SimpleNamespace(**{**defaults, **state})


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(size, 3, 1, 1), torch.zeros(size, dtype=torch.int64)


def take_step(callback: Any, trainer: Any, figures: list[float], size: int = 4) -> None:
    """As Lightning does, which counts the step before it tells of its end."""
    callback.on_train_batch_start(trainer, None, batch(size), 0)
    trainer.global_step += 1
    outputs = {"figures": torch.tensor(figures)}
    callback.on_train_batch_end(trainer, None, outputs, batch(size), 0)


def test_steps_are_written_once_a_second_is_over_and_with_the_last_batch(clock: Clock) -> None:
    log, logger = StepLog(), Logger()
    trainer = pretended(loggers=[logger], world_size=2, current_epoch=3, global_step=100)
    log.on_train_epoch_start(trainer, None)
    for seconds in (0.5, 0.5):
        clock.now += seconds
        take_step(log, trainer, [2.0, 0.5])
        assert logger.rows == []  # a second is not over before more than one has passed
    clock.now += 1.0
    take_step(log, trainer, [1.0, 0.75])
    row = {"train/loss_step": 2.0, "train/accuracy_step": 0.5, "learning_rate": 0.5, "epoch": 3}
    # three batches of 4 images in each of two processes, in 2 seconds
    first, second, third = ({**row, "images_per_second_step": 12.0} for _ in range(3))
    third |= {"train/loss_step": 1.0, "train/accuracy_step": 0.75}
    assert logger.rows == [(100, first), (101, second), (102, third)]
    logger.rows.clear()
    clock.now += 0.5
    trainer.is_last_batch = True
    take_step(log, trainer, [2.0, 0.5], size=2)
    assert logger.rows == [(103, {**row, "images_per_second_step": 8.0})]
    logged: dict[str, float] = {}
    clock.now += 7.0  # the validation, which counts for nothing
    log.on_train_epoch_end(trainer, SimpleNamespace(log=logged.__setitem__))
    assert logged == {"images_per_second": 28 / 2.5, "training_seconds": 2.5}


def test_the_steps_of_an_epoch_that_was_broken_off_are_written_at_the_end(clock: Clock) -> None:
    log, logger = StepLog(), Logger()
    trainer = pretended(loggers=[logger])
    log.on_train_epoch_start(trainer, None)
    for loss in (3.0, 2.0):
        clock.now += 0.25
        take_step(log, trainer, [loss, 0.0])
    assert logger.rows == []
    log.on_train_end(trainer, None)
    assert [(step, row["train/loss_step"]) for step, row in logger.rows] == [(0, 3.0), (1, 2.0)]
    assert {row["images_per_second_step"] for _, row in logger.rows} == {16.0}
    log.on_train_end(trainer, None)  # nothing is left
    assert len(logger.rows) == 2


def test_the_seconds_of_training_go_on_from_a_checkpoint(clock: Clock) -> None:
    earlier, log = StepLog(), StepLog()
    assert earlier.state_dict() == {"training_seconds": 0.0}
    earlier.training_seconds = 40.0
    log.load_state_dict(earlier.state_dict())
    trainer = pretended(is_last_batch=True)
    for _ in range(2):
        log.on_train_epoch_start(trainer, None)
        clock.now += 2.0
        take_step(log, trainer, [2.0, 0.5])
        clock.now += 9.0
    assert log.state_dict() == {"training_seconds": 44.0}


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The checkpoint after two steps of a run whose first epoch was the best."""
    checkpoints = tmp_path / "earlier" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "best-epoch=1.ckpt").write_text("the best")
    table = "step,epoch,val/accuracy,train/loss_step\n0,0,,2.5\n1,0,,2.25\n1,1,0.5,\n2,1,,2.0\n"
    (checkpoints.parent / "metrics.csv").write_text(table)
    return checkpoints / "last.ckpt"


def resumed(earlier: Path, folder: Path, **given: Any) -> tuple[Logger, dict[str, Any]]:
    """What `EarlierRecord` has logged, and what becomes of the state of the best checkpoint."""
    logger = Logger()
    best = SimpleNamespace(state_key="best", dirpath=str(folder / "later" / "checkpoints"))
    trainer = pretended(loggers=[logger], checkpoint_callback=best, ckpt_path=str(earlier), **given)
    state = {"best_model_path": "/elsewhere/best-epoch=1.ckpt", "best_model_score": 0.5}
    checkpoint = {"global_step": 2, "callbacks": {"best": state}}
    EarlierRecord("shapes10").on_load_checkpoint(trainer, None, checkpoint)
    return logger, state


@pytest.mark.parametrize("is_there", [False, True])
def test_the_earlier_record_becomes_the_runs_own(earlier: Path, tmp_path: Path, is_there: bool) -> None:
    if is_there:
        (tmp_path / "later" / "checkpoints").mkdir(parents=True)
    logger, state = resumed(earlier, tmp_path)
    assert logger.rows == [
        (0, {"epoch": 0, "train/loss_step": 2.5}),
        (1, {"epoch": 0, "train/loss_step": 2.25}),
        (1, {"epoch": 1, "val/accuracy": 0.5}),
    ]
    own = tmp_path / "later" / "checkpoints" / "best-epoch=1.ckpt"
    assert own.read_text() == "the best"
    assert state == {
        "dirpath": str(own.parent),
        "best_model_path": str(own),
        "kth_best_model_path": str(own),
        "best_model_score": 0.5,
        "best_k_models": {str(own): 0.5},
    }
    assert EarlierRecord("shapes10").state_dict() == {"dataset": "shapes10"}


def test_of_several_processes_one_copies_the_earlier_best(earlier: Path, tmp_path: Path) -> None:
    _, state = resumed(earlier, tmp_path, is_global_zero=False)
    assert not (tmp_path / "later").exists()
    assert state["best_model_path"] == str(tmp_path / "later" / "checkpoints" / "best-epoch=1.ckpt")


@pytest.mark.parametrize(
    "missing",
    [
        ["metrics.csv"],
        ["checkpoints/best-epoch=1.ckpt"],
        ["checkpoints/best-epoch=1.ckpt", "metrics.csv"],
    ],
)
@pytest.mark.parametrize("writes", [True, False])
def test_without_an_earlier_record_a_line_says_so(
    earlier: Path,
    tmp_path: Path,
    missing: list[str],
    writes: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, *_ = paths = [tmp_path / "earlier" / name for name in missing]
    for each in paths:
        each.unlink()
    logger, state = resumed(earlier, tmp_path, is_global_zero=writes)
    assert logger.rows == []
    assert state["best_model_path"] == "/elsewhere/best-epoch=1.ckpt"
    told = f"only what follows the checkpoint is recorded: there is no {path}\n"
    assert capsys.readouterr().out == (told if writes else "")


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
    for new in ([1.0, 0.3], [3.0, 0.0]):
        figures = torch.tensor(new, dtype=torch.float64)
        progress.on_train_batch_end(trainer, None, {"figures": figures}, batch(4), 0)
    expected = [0.99 * (0.99 * 2.0 + 0.01 * 1.0) + 0.01 * 3.0, 0.99 * (0.99 * 0.1 + 0.01 * 0.3)]
    assert progress.smoothed.tolist() == pytest.approx(expected, rel=1e-12)
    assert progress.get_metrics(trainer, None) == {"loss": "2.000", "accuracy": "0.101"}


def test_a_resumed_run_which_knows_none_before_training_smooths_from_its_first_figures(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, shown: list[int]
) -> None:
    progress = progress_on_a_terminal(monkeypatch)
    outputs = {"figures": torch.tensor([1.0, 0.25])}
    progress.on_train_batch_end(pretended(), None, outputs, batch(4), 0)
    assert progress.get_metrics(pretended(), None) == {"loss": "1.000", "accuracy": "0.250"}


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
