"""`ansnet.training.callbacks`, beside a trainer that is only pretended; whole runs: test_run.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ansnet.training import callbacks
from ansnet.training.callbacks import StepLog
from tests.training.pretended import Clock, Logger, batch, pretended


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(callbacks, "perf_counter", clock)
    return clock


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
    assert set(earlier.state_dict().values()) == {0}
    earlier.training_seconds = 40.0
    log.load_state_dict(earlier.state_dict())
    trainer = pretended(is_last_batch=True)
    for _ in range(2):
        log.on_train_epoch_start(trainer, None)
        clock.now += 2.0
        take_step(log, trainer, [2.0, 0.5])
        clock.now += 9.0
    assert log.state_dict() == {"training_seconds": 44.0, "epoch_seconds": 2.0, "epoch_images": 4}


def test_the_speed_of_an_epoch_that_is_gone_on_with_is_over_all_of_it(clock: Clock) -> None:
    earlier, log = StepLog(), StepLog()
    trainer = pretended(world_size=1)
    earlier.on_train_epoch_start(trainer, None)
    clock.now += 4.0
    take_step(earlier, trainer, [2.0, 0.5])
    log.load_state_dict(earlier.state_dict())
    log.on_train_start(trainer, None)  # and the epoch is not begun again
    clock.now += 2.0
    trainer.is_last_batch = True
    take_step(log, trainer, [2.0, 0.5], size=14)
    logged: dict[str, float] = {}
    log.on_train_epoch_end(trainer, SimpleNamespace(log=logged.__setitem__))
    assert logged == {"images_per_second": 18 / 6.0, "training_seconds": 6.0}


def test_with_gradients_accumulated_a_step_is_a_row_of_the_means_over_its_images(clock: Clock) -> None:
    log, logger = StepLog(), Logger()
    trainer = pretended(loggers=[logger], global_step=7)
    log.on_train_epoch_start(trainer, None)
    for figures, size in (([1.0, 0.5], 6), ([3.0, 0.0], 2)):
        log.on_train_batch_start(trainer, None, batch(size), 0)
        trainer.global_step += size == 2  # with the second of the two batches
        log.on_train_batch_end(trainer, None, {"figures": torch.tensor(figures)}, batch(size), 0)
    clock.now += 4.0
    trainer.is_last_batch = True
    take_step(log, trainer, [2.0, 0.25])
    (first, accumulated), (second, _) = logger.rows
    assert (first, second) == (7, 8)
    assert (accumulated["train/loss_step"], accumulated["train/accuracy_step"]) == (1.5, 0.375)
    assert accumulated["images_per_second_step"] == 3.0
