"""What is recorded beside the training: each step, and the speed."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from ansnet.compatibility import lightning
from ansnet.training.classifier import Batch

Trainer = lightning.Trainer
LightningModule = lightning.LightningModule

FIGURES = ("loss", "accuracy")


class StepLog(lightning.Callback):
    """Logs what every step measured, and how many images a second were trained on.

    ============================================  ==============================================
    ``train/loss_step``, ``train/accuracy_step``  of each training batch
    ``learning_rate``                             at each step
    ``images_per_second_step``                    over the second in which the step was taken
    ``images_per_second``                         over the epoch, loading included, validation not
    ``training_seconds``                          so far, before a checkpoint was resumed as well
    ============================================  ==============================================

    The figures stay on the device until a second is over, so that it need not be waited for after
    every step.
    """

    interval = 1.0  # seconds

    def __init__(self) -> None:
        self.training_seconds = self.epoch_seconds = 0.0
        self.steps: list[tuple[int, float]] = []
        self.figures: list[Tensor] = []
        self.parts: list[tuple[Tensor, int]] = []
        self.images = self.epoch_images = 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "training_seconds": self.training_seconds,
            "epoch_seconds": self.epoch_seconds,
            "epoch_images": self.epoch_images,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.training_seconds = state_dict["training_seconds"]
        self.epoch_seconds = state_dict.get("epoch_seconds", 0.0)  # an older ansnet did not say it
        self.epoch_images = state_dict.get("epoch_images", 0)

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.begin(trainer)  # within an epoch, if the run goes on from there

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.epoch_images, self.epoch_seconds = 0, 0.0
        self.begin(trainer)

    def begin(self, trainer: Trainer) -> None:
        self.steps, self.figures, self.parts = [], [], []
        self.last_step = trainer.global_step - 1
        self.images, self.interval_start = 0, perf_counter()

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Batch, index: int
    ) -> None:
        self.learning_rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        self.images += len(batch[1]) * trainer.world_size
        step = trainer.global_step - 1
        self.parts.append((outputs["figures"], len(batch[1])))
        if step > self.last_step:  # with gradients accumulated, not after every batch
            self.steps.append((step, self.learning_rate))
            self.figures.append(weighted_mean(self.parts))
            self.parts, self.last_step = [], step
        is_over = trainer.is_last_batch or perf_counter() - self.interval_start > self.interval
        if is_over and self.steps:
            self.write(trainer)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        if self.steps:  # left by an epoch that was broken off
            self.write(trainer)

    def write(self, trainer: Trainer) -> None:
        measured = torch.stack(self.figures).tolist()  # when the device is through with them
        now = perf_counter()
        speed = self.images / (now - self.interval_start)
        for (step, learning_rate), figures in zip(self.steps, measured, strict=True):
            row = {f"train/{name}_step": figure for name, figure in zip(FIGURES, figures, strict=True)}
            row |= {"learning_rate": learning_rate, "images_per_second_step": speed}
            for logger in trainer.loggers:
                logger.log_metrics({**row, "epoch": trainer.current_epoch}, step)
        self.steps, self.figures = [], []
        self.training_seconds += now - self.interval_start
        self.epoch_seconds += now - self.interval_start
        self.epoch_images += self.images
        self.images, self.interval_start = 0, now

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        speed = self.epoch_images / self.epoch_seconds if self.epoch_seconds else 0.0
        module.log("images_per_second", speed)
        module.log("training_seconds", self.training_seconds)


def weighted_mean(parts: list[tuple[Tensor, int]]) -> Tensor:
    """The mean of figures that are means over so many images each."""
    if len(parts) == 1:
        return parts[0][0]
    images = sum(number for _, number in parts)
    return torch.stack([figures * (number / images) for figures, number in parts]).sum(0)
