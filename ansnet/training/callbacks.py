"""What is recorded beside the training: each step, the speed, and what a resumed run had before."""

from __future__ import annotations

import shutil
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from ansnet.compatibility import lightning
from ansnet.training.classifier import Batch
from ansnet.training.history import read_steps

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
        self.training_seconds = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"training_seconds": self.training_seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.training_seconds = state_dict["training_seconds"]

    def on_train_epoch_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.steps: list[tuple[int, float]] = []
        self.figures: list[Tensor] = []
        self.parts: list[tuple[Tensor, int]] = []
        self.last_step = trainer.global_step - 1
        self.images = self.epoch_images = 0
        self.interval_start = self.epoch_start = perf_counter()

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
        self.epoch_images += self.images
        self.images, self.interval_start = 0, now

    def on_train_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        module.log("images_per_second", self.epoch_images / (self.interval_start - self.epoch_start))
        module.log("training_seconds", self.training_seconds)


def weighted_mean(parts: list[tuple[Tensor, int]]) -> Tensor:
    """The mean of figures that are means over so many images each."""
    if len(parts) == 1:
        return parts[0][0]
    images = sum(number for _, number in parts)
    return torch.stack([figures * (number / images) for figures, number in parts]).sum(0)


class EarlierRecord(lightning.Callback):
    """Takes what a resumed run's training had recorded before into the run's own record.

    It is in the folder of the run that the checkpoint is of: in ``metrics.csv`` the figures of the
    steps until then, and beside the checkpoint that of the best epoch until then, which stays the best
    until a later epoch is better. Where one of them is missing, the record begins with the checkpoint,
    and a line says so.

    Args:
        dataset: of the run, as its settings name it; its checkpoints say it.
    """

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset

    def state_dict(self) -> dict[str, Any]:
        return {"dataset": self.dataset}

    def on_load_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        best: Any = trainer.checkpoint_callback
        state = checkpoint["callbacks"].get(best.state_key, {})
        folder = Path(str(trainer.ckpt_path)).resolve().parent
        earlier_best = folder / Path(state.get("best_model_path") or "best-*.ckpt").name
        metrics_csv = folder.parent / "metrics.csv"
        missing = [path for path in (earlier_best, metrics_csv) if not path.is_file()]
        if missing:
            if trainer.is_global_zero:
                print(f"only what follows the checkpoint is recorded: there is no {missing[0]}")
            return
        for step, figures in read_steps(metrics_csv, checkpoint["global_step"]):
            for logger in trainer.loggers:
                logger.log_metrics(figures, step)
        own_best = Path(best.dirpath) / earlier_best.name
        if trainer.is_global_zero:
            own_best.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(earlier_best, own_best)
        # as it would be had the folder been this run's from the start
        state["dirpath"] = best.dirpath
        state["best_model_path"] = state["kth_best_model_path"] = str(own_best)
        state["best_k_models"] = {str(own_best): state["best_model_score"]}
