"""What happens beside the training itself: its speed, and what the user sees of it."""

from __future__ import annotations

import sys
from time import monotonic, perf_counter
from typing import Any

import torch
from torch import Tensor

from ansnet.compatibility import lightning
from ansnet.training.classifier import Batch

Trainer = lightning.Trainer
LightningModule = lightning.LightningModule

FIGURES = ("loss", "accuracy")


class Throughput(lightning.Callback):
    """Logs training images a second: ``images_per_second_step`` and, over the epoch,
    ``images_per_second``. Loading the images is part of it, validation is not.
    """

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.images = 0
        self.epoch_start = self.previous = perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        images = len(batch[1]) * trainer.world_size
        if trainer.is_last_batch and module.device.type == "cuda":
            torch.cuda.synchronize()
        now = perf_counter()
        self.images += images
        self.seconds = now - self.epoch_start
        module.log("images_per_second_step", images / (now - self.previous), on_epoch=False)
        self.previous = now

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        module.log("images_per_second", self.images / self.seconds)


class SmoothedProgress(lightning.callbacks.TQDMProgressBar):
    """Progress of the epoch with the time that it has left, and a line an epoch that stays.

    Training loss and accuracy are shown smoothed, ``0.99 · old + 0.01 · new``, from their values
    before training on (notebook, "Hlavní cyklus"). Where the output is no terminal, but a file or
    another program, only the lines are written.
    """

    def __init__(self) -> None:
        super().__init__()
        if not sys.stderr.isatty():
            self.disable()
        self.smoothed: dict[str, Tensor] = {}
        self.training_start = 0.0
        self.first_epoch = 0

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_validation_end(trainer, module)
        if trainer.state.fn == "validate":
            measured = trainer.callback_metrics
            self.smoothed = {name: measured[f"train/{name}"] for name in FIGURES}
            self.write_epoch(trainer, "before training")

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        super().on_train_start(trainer, module)
        self.training_start, self.first_epoch = monotonic(), trainer.current_epoch

    def on_train_epoch_start(self, trainer: Trainer, *unused: Any) -> None:
        super().on_train_epoch_start(trainer, *unused)
        title = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self.train_progress_bar.set_description(title)

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        for name in FIGURES:
            new = outputs[name].detach()
            old = self.smoothed.get(name, new)
            self.smoothed[name] = 0.99 * old.to(new.device) + 0.01 * new
        super().on_train_batch_end(trainer, module, outputs, batch, index)

    def get_metrics(
        self, trainer: Trainer, module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        return {name: f"{value.item():.3f}" for name, value in self.smoothed.items()}

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
