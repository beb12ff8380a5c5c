"""The checkpoints of a run: of its best epoch, its last, and within the epoch that is going on."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Any

from ansnet.compatibility import lightning
from ansnet.training.callbacks import StepLog
from ansnet.training.interruption import Interruption
from ansnet.training.settings import MID_EPOCH

Trainer = lightning.Trainer
LightningModule = lightning.LightningModule
WeightAveraging = lightning.callbacks.WeightAveraging

VALIDATION = "epoch_loop.val_loop.batch_progress"
# how Lightning knows a validation that has begun, and has to be gone through
BEGUN = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
NOT_BEGUN = dict.fromkeys(BEGUN, 0)


class Best(lightning.callbacks.ModelCheckpoint):
    """The checkpoint of the best epoch, and for a moment that of the one before.

    That one is removed when `Last` has been saved: until then it is the one that the last checkpoint
    names as the best.
    """

    def __init__(self) -> None:
        super().__init__(
            monitor="val/accuracy",
            mode="max",
            filename="best-epoch={epoch:.0f}-val_accuracy={val/accuracy:.4f}",
            auto_insert_metric_name=False,
        )
        self.outdone: list[str] = []

    @property
    def state_key(self) -> str:
        """That of the class that it was in an older ansnet's checkpoints."""
        return super().state_key.replace(type(self).__name__, "ModelCheckpoint", 1)

    def _remove_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        self.outdone.append(filepath)

    def remove_outdone(self, trainer: Trainer) -> None:
        for path in self.outdone:
            trainer.strategy.remove_checkpoint(path)
        self.outdone = []


class Last(lightning.callbacks.ModelCheckpoint):
    """The checkpoint of the last epoch. When it is there, what it takes the place of is removed.

    But not where the epoch was broken off: then the run goes on from within it, and from what was best.

    Not `save_last` of the best, which copies the last that was saved: the best.
    """

    def __init__(self, best: Best) -> None:
        super().__init__(filename="last", enable_version_counter=False)
        self.best = best

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        super()._save_checkpoint(trainer, filepath)
        if trainer.is_last_batch:
            self.best.remove_outdone(trainer)
            trainer.strategy.remove_checkpoint(str(Path(filepath).with_name(MID_EPOCH)))


class MidEpoch(lightning.callbacks.Checkpoint):
    """The checkpoint within an epoch: every so many minutes, and when the run is told to end.

    Saved after a step, it holds what of the epoch is still in memory; where gradients are accumulated,
    after the last batch of a step. Saved when validation is due or going on, it has the validation gone
    through from its beginning.

    Args:
        step_log: which writes its steps before.
        minutes: between two checkpoints of any kind; 0 saves none until the run is told to end.
        interruption: by what it is told.

    Raises:
        Interrupted: the run is told to end, and the checkpoint is saved.
    """

    def __init__(
        self, step_log: StepLog, minutes: float, interruption: Interruption | None = None
    ) -> None:
        self.step_log = step_log
        self.seconds = 60 * minutes
        self.interruption = Interruption() if interruption is None else interruption
        self.saved_at = monotonic()
        self.step = 0
        self.is_validation_due = self.has_begun = self.stops = False
        self.positions: list[dict[str, int]] = []

    def path(self, trainer: Trainer) -> Path:
        last: Any = trainer.checkpoint_callback
        return Path(last.dirpath) / MID_EPOCH

    def on_load_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.positions = checkpoint["loops"]["fit_loop"]["state_dict"].get("combined_loader", [])

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        # Lightning 2.6 forgets them where the number of steps has been asked for to make the optimizer
        for position in self.positions:
            loader: Any = trainer.train_dataloader
            loader.load_state_dict(position)
        self.positions = []
        self.has_begun = True
        self.saved_at = monotonic()
        self.interruption.listen()
        self.interruption.waits = True  # until the run's end, so that what is complete is recorded

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, index: int
    ) -> None:
        self.step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        is_within_step = trainer.global_step == self.step and not trainer.is_last_batch
        if is_within_step:  # whose gradients would be lost: what stops the training waits for its end
            self.stops |= trainer.should_stop
            trainer.should_stop = False
            return
        trainer.should_stop |= self.stops
        self.stops = False
        if trainer.is_last_batch:
            return
        if self.is_due(trainer) or trainer.should_stop:
            if self.step_log.steps:
                self.step_log.write(trainer)
            self.save(trainer)
            self.end_if_asked(trainer)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        if trainer.state.fn == "fit" and trainer.is_last_batch and self.is_due(trainer):
            self.save_before_validation(trainer)
            self.end_if_asked(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if trainer.state.fn != "fit" or not trainer.is_last_batch or not self.is_asked(trainer):
            return
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging):
                callback.on_validation_epoch_end(trainer, module)  # puts the training's weights back
        self.save_before_validation(trainer)
        self.end_if_asked(trainer)

    def save_before_validation(self, trainer: Trainer) -> None:
        self.is_validation_due = True
        self.save(trainer)
        self.is_validation_due = False

    def on_save_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if self.is_validation_due:
            progress = checkpoint["loops"]["fit_loop"][VALIDATION]
            checkpoint["loops"]["fit_loop"][VALIDATION] = {
                **progress,
                "total": {**progress["total"], **BEGUN},
                "current": {**progress["current"], **NOT_BEGUN},
                "is_last_batch": False,
            }

    def save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.path(trainer), weights_only=False)
        self.saved_at = monotonic()

    def is_due(self, trainer: Trainer) -> bool:
        """Whether it is time by the clock of any process, or one has been told to end."""
        is_time = self.seconds > 0 and monotonic() - self.saved_at >= self.seconds
        return any_of(trainer, is_time or self.interruption.asked())

    def is_asked(self, trainer: Trainer) -> bool:
        return any_of(trainer, self.interruption.asked())

    def end_if_asked(self, trainer: Trainer) -> None:
        if self.is_asked(trainer):
            interrupted = self.interruption.end()
            interrupted.log_dir = Path(str(trainer.log_dir))
            interrupted.checkpoint = self.path(trainer)
            interrupted.done = f"epoch {trainer.current_epoch + 1}, step {trainer.global_step}"
            raise interrupted


def any_of(trainer: Trainer, answer: bool) -> bool:
    """Whether any process says yes."""
    return bool(trainer.strategy.reduce_boolean_decision(answer, all=False))
