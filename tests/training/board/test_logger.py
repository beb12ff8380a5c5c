"""`ansnet.training.board.logger`."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ansnet.training.board.logger import GROUPED, GroupedLogger


def test_every_scalar_is_in_a_group_and_those_in_one_keep_their_names(tmp_path: Path) -> None:
    logger = GroupedLogger(str(tmp_path))
    logger.log_metrics({**dict.fromkeys(GROUPED, 1.0), "train/loss": 2.0}, 3)
    logger.save()
    logger.finalize("success")
    events = EventAccumulator(logger.log_dir).Reload()
    assert set(events.Tags()["scalars"]) == {*GROUPED.values(), "train/loss"}
    assert all("/" in tag for tag in events.Tags()["scalars"])
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(3, 2.0)]
