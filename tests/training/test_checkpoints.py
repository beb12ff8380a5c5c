"""`ansnet.training.checkpoints`: a run that was killed at any moment goes on as if it had not been."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ansnet.commands.runs import find_resumable
from ansnet.compatibility import lightning
from ansnet.training.checkpoints import Best, Last, MidEpoch
from ansnet.training.interruption import Interrupted, Interruption
from ansnet.training.report import Result
from ansnet.training.run import train
from ansnet.training.settings import MID_EPOCH, Settings, SettingsError
from tests.training.small import few_shapes, small_settings
from tests.training.test_run import rows

EVERY_STEP = 1e-9  # minutes

# the validation is of 2 batches, an epoch of 6 steps
CHOSEN: dict[str, dict[str, Any]] = {
    "plain": {"augment": True, "optimizer": "muon", "lr": 0.02, "schedule": "linear", "warmup": 0.3},
    "averaged": {"ema": 0.9, "augment": True, "flip": "alternating", "cutout": 4},
    "accumulated": {"accumulate_grad_batches": 4, "batch_size": 25, "gradient_clip_val": 0.5},
}


@pytest.fixture(scope="module", autouse=True)
def _few_images() -> Iterator[None]:
    with few_shapes(300, 100):
        yield


def settings(log_dir: Path, **given: Any) -> Settings:
    return small_settings(log_dir, **{"model": "CNR(4), M(8), LR(8), L(10)", **given})


class KilledError(Exception):
    pass


def killed_after(save: int) -> Callable[[pytest.MonkeyPatch], None]:
    """Kill a run when it has saved so many checkpoints, of whatever kind."""
    left = [save]
    original = lightning.Trainer.save_checkpoint

    def save_and_die(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        left[0] -= 1
        if left[0] == 0:
            raise KilledError

    return lambda patch: patch.setattr(lightning.Trainer, "save_checkpoint", save_and_die)


@pytest.fixture(scope="module", params=list(CHOSEN))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run that nobody kills, and what is chosen of it."""
    chosen = CHOSEN[request.param]
    return train(settings(tmp_path_factory.mktemp(request.param), **chosen)), chosen


def weights(result: Result) -> dict[str, Any]:
    state = torch.load(result.log_dir / "checkpoints" / "last.ckpt", weights_only=True)
    return {**state["state_dict"], **state.get("current_model_state", {})}


def scalars(result: Result) -> dict[str, list[tuple[int, float]]]:
    """TensorBoard's, less what is measured in time."""
    events = EventAccumulator(str(result.log_dir)).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith("speed/")]
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in tags}


def assert_the_same(result: Result, expected: Result) -> None:
    assert rows(result) == rows(expected)
    assert scalars(result) == scalars(expected)
    found, same = weights(result), weights(expected)
    assert found.keys() == same.keys()
    assert all(torch.equal(found[name], same[name]) for name in same)
    assert result.best == expected.best or result.best.val_loss == expected.best.val_loss
    assert result.best_checkpoint.name == expected.best_checkpoint.name
    assert {each.name for each in result.best_checkpoint.parent.iterdir()} == {
        "last.ckpt",
        result.best_checkpoint.name,
    }


# among them: within the first epoch, before the validation, between the best one and the last
@pytest.mark.parametrize("saves", [[1], [3], [5, 1], [6], [7], [8], [2, 4, 3], [13]])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(
    whole: tuple[Result, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    saves: list[int],
) -> None:
    expected, chosen = whole
    chosen = {**chosen, "checkpoint_every": EVERY_STEP}
    going_on: dict[str, Any] = {}
    for save in saves:
        with monkeypatch.context() as patch:
            killed_after(save)(patch)
            try:
                result = train(settings(tmp_path, **chosen, **going_on))
                break  # it was through before: with gradients accumulated there are fewer steps
            except KilledError:
                going_on = {"resume": str(find_resumable("last", tmp_path))}
    else:
        result = train(settings(tmp_path, **chosen, **going_on))
    assert_the_same(result, expected)


@pytest.mark.parametrize("moment", ["step", "validation"])
def test_a_run_that_is_told_to_end_saves_and_goes_on(
    whole: tuple[Result, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    expected, chosen = whole
    hook = "on_train_batch_end" if moment == "step" else "on_validation_batch_end"
    original = getattr(MidEpoch, hook)

    def told(self: MidEpoch, trainer: lightning.Trainer, *arguments: Any, **options: Any) -> None:
        if trainer.state.fn == "fit" and trainer.global_step > 1:
            signal.raise_signal(signal.SIGTERM)
        original(self, trainer, *arguments, **options)

    with monkeypatch.context() as patch, Interruption() as interruption:
        patch.setattr(MidEpoch, hook, told)
        with pytest.raises(Interrupted) as error:
            train(settings(tmp_path, **chosen), interruption)
    interrupted = error.value
    assert interrupted.exit_code == 143
    assert interrupted.checkpoint is not None
    assert interrupted.checkpoint.name == MID_EPOCH
    assert interrupted.done.startswith("epoch 1, step ")
    assert interrupted.checkpoint == find_resumable("last", tmp_path)
    resumed = train(settings(tmp_path, **chosen, resume=str(interrupted.checkpoint)))
    assert_the_same(resumed, expected)


def test_a_run_that_was_killed_after_its_last_checkpoint_has_its_record_completed(
    whole: tuple[Result, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, chosen = whole

    original = Last._save_checkpoint

    def die(self: Last, trainer: lightning.Trainer, path: str) -> None:
        original(self, trainer, path)
        if trainer.current_epoch == 1:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Last, "_save_checkpoint", die)
        with pytest.raises(KilledError):
            train(settings(tmp_path, **chosen))
    (killed,) = tmp_path.rglob("last.ckpt")
    resumed = train(settings(tmp_path, **chosen, resume=str(killed)))
    assert_the_same(resumed, expected)
    again = str(resumed.log_dir / "checkpoints" / "last.ckpt")
    with pytest.raises(SettingsError, match="2 epochs are completed, so nothing is left"):
        train(settings(tmp_path, **chosen, resume=again))


def test_an_epoch_that_was_broken_off_by_the_time_goes_on_from_within(
    whole: tuple[Result, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, chosen = whole
    original = MidEpoch.on_train_batch_end

    def over(self: MidEpoch, trainer: lightning.Trainer, *arguments: Any) -> None:
        trainer.should_stop = trainer.global_step > 1
        original(self, trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(MidEpoch, "on_train_batch_end", over)
        early = train(settings(tmp_path, **chosen))
    assert early.history[-1].epoch == 1
    checkpoint = find_resumable("last", tmp_path)
    assert checkpoint.name == MID_EPOCH
    assert (checkpoint.parent / "last.ckpt").is_file()
    assert_the_same(train(settings(tmp_path, **chosen, resume=str(checkpoint))), expected)


def test_what_was_best_before_an_epoch_that_was_broken_off_stays(
    whole: tuple[Result, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, chosen = whole
    original = MidEpoch.on_train_batch_end

    def over(self: MidEpoch, trainer: lightning.Trainer, *arguments: Any) -> None:
        trainer.should_stop = trainer.current_epoch == 1
        original(self, trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(MidEpoch, "on_train_batch_end", over)
        # whatever the accuracy of what there is of the second epoch, it is taken for better
        patch.setattr(Best, "check_monitor_top_k", lambda *_: True)
        early = train(settings(tmp_path, **chosen))
    assert early.history[-1].epoch == 2
    assert len(list((early.log_dir / "checkpoints").glob("best-*.ckpt"))) == 2
    checkpoint = str(find_resumable("last", tmp_path))
    assert_the_same(train(settings(tmp_path, **chosen, resume=checkpoint)), expected)


def test_an_error_on_the_way_to_the_end_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*_: Any) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise OSError("Writer is closed")

    with monkeypatch.context() as patch, Interruption() as interruption:
        patch.setattr(MidEpoch, "on_train_batch_end", told)
        with pytest.raises(Interrupted) as error:
            train(settings(tmp_path), interruption)
    assert error.value.exit_code == 143


def test_within_an_epoch_nothing_is_saved_before_it_is_time(tmp_path: Path) -> None:
    saved: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MidEpoch, "save", lambda self, trainer: saved.append(trainer.global_step))
        train(settings(tmp_path, max_epochs=1))
        train(settings(tmp_path, max_epochs=1, checkpoint_every=0))
        assert saved == []
        train(settings(tmp_path, max_epochs=1, checkpoint_every=EVERY_STEP))
    assert saved == [1, 2, 3, 4, 5, 6]  # the last one before the validation
