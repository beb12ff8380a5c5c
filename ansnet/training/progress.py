"""What the terminal shows while a network is trained."""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from ansnet.compatibility import lightning
from ansnet.training.callbacks import FIGURES, LightningModule, Trainer
from ansnet.training.classifier import Batch

VALIDATED = ("validation images", "training images")  # the second only before training


class SmoothedProgress(lightning.callbacks.TQDMProgressBar):
    """Progress of the epoch with the time that it has left, and a line an epoch that stays.

    Beside the bar stand the images trained on a second since the epoch's start, validation not counted.
    Training loss and accuracy are shown smoothed, ``0.99 · old + 0.01 · new``, from their values
    before training on (notebook, "Hlavní cyklus"). Where the output is no terminal, but a file or
    another program, only the lines are written.
    """

    interval = 0.1  # seconds from one picture of the bar to the next
    BAR_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"

    def __init__(self) -> None:
        super().__init__()
        if not sys.stderr.isatty():
            self.disable()
        self.smoothed: Tensor | None = None
        self.shown = self.training_start = self.epoch_start = 0.0
        self.first_epoch = self.images = 0

    def on_validation_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Batch, index: int, loader: int = 0
    ) -> None:
        super().on_validation_batch_start(trainer, module, batch, index, loader)
        self.val_progress_bar.set_description(VALIDATED[loader], refresh=False)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_validation_end(trainer, module)
        if trainer.state.fn == "validate":
            measured = trainer.callback_metrics
            self.smoothed = torch.stack([measured[f"train/{name}"] for name in FIGURES])
            self.write_epoch(trainer, "before training")

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        self.training_start, self.first_epoch = monotonic(), trainer.current_epoch

    def on_train_epoch_start(self, trainer: Trainer, *unused: Any) -> None:
        super().on_train_epoch_start(trainer, *unused)
        title = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self.train_progress_bar.set_description(title)
        self.epoch_start, self.images = monotonic(), 0

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        if self.is_disabled:
            return
        self.images += len(batch[1]) * trainer.world_size
        new = outputs["figures"]
        old = new if self.smoothed is None else self.smoothed.to(new.device)
        self.smoothed = 0.99 * old + 0.01 * new
        if trainer.is_last_batch or monotonic() - self.shown > self.interval:
            super().on_train_batch_end(trainer, module, outputs, batch, index)
            self.shown = monotonic()

    def get_metrics(
        self, trainer: Trainer, module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        if self.smoothed is None:
            return {}
        loss, accuracy = self.smoothed.tolist()
        shown: dict[str, Any] = {"loss": f"{loss:.3f}", "accuracy": f"{accuracy:.1%}"}
        if self.images:
            speed = self.images / max(monotonic() - self.epoch_start, 1e-9)
            shown["images/s"] = f"{speed:,.0f}"
        return shown

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, module)
        done = trainer.current_epoch + 1
        to_do = (trainer.max_epochs or done) - done
        left = (monotonic() - self.training_start) / (done - self.first_epoch) * to_do
        self.write_epoch(
            trainer,
            f"epoch {done}/{done + to_do}",
            f"{trainer.callback_metrics['images_per_second']:,.0f} images/s",
            *([f"{readable_duration(left)} left"] if to_do else []),
        )

    def write_epoch(self, trainer: Trainer, title: str, *endings: str) -> None:
        def figures(subset: str) -> str:
            loss, accuracy = (trainer.callback_metrics[f"{subset}/{name}"] for name in FIGURES)
            return f"{subset} loss {loss:.4f} accuracy {accuracy:6.2%}"

        if trainer.is_global_zero:
            self.val_progress_bar.write(
                "  ".join([f"{title:<15}", figures("train"), figures("val"), *endings])
            )


def readable_duration(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
