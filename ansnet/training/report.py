"""What a run says: before it what is about to be trained, after it what it arrived at."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from ansnet import __version__
from ansnet.compatibility import lightning, torchvision
from ansnet.functional.kernel import finds_compiler
from ansnet.training.classifier import ImageClassifier
from ansnet.training.described import commit
from ansnet.training.divergence import Verdict
from ansnet.training.history import Epoch
from ansnet.training.machine import device_type
from ansnet.training.precision import Timing
from ansnet.training.progress import readable_duration
from ansnet.training.resume import Checkpoint, changes
from ansnet.training.settings import Settings


@dataclass(frozen=True)
class Result:
    """What a run arrived at, and where it left its files.

    Attributes:
        history: the epochs, from the untrained network on.
        best: that of the highest validation accuracy.
        best_checkpoint: of that epoch.
        log_dir: the run's folder.
        seconds: that all of it took.
        lr: the learning rate, at its highest.
        max_epochs: that were asked for.
        verdict: what is to be said against it; None if nothing is.
        precision: in which it computed.
    """

    history: list[Epoch]
    best: Epoch
    best_checkpoint: Path
    log_dir: Path
    seconds: float
    lr: float
    max_epochs: int
    verdict: Verdict | None = None
    precision: str | None = None

    @property
    def exit_code(self) -> int:
        return 0 if self.verdict is None else self.verdict.exit_code

    def __str__(self) -> str:
        last, run = self.history[-1], self.log_dir
        augmented, early = last.val_accuracy_tta, last.epoch < self.max_epochs
        return "\n".join(
            [
                f"last epoch   {last.epoch}{f' of {self.max_epochs}, ended early' if early else ''}: "
                f"validation accuracy {last.val_accuracy:.2%}"
                + ("" if augmented is None else f"; {augmented:.2%} with test-time augmentation"),
                f"best epoch   {self.best.epoch} of {last.epoch}: validation accuracy "
                f"{self.best.val_accuracy:.2%}, loss {self.best.val_loss:.4f}; training accuracy "
                f"{self.best.train_accuracy:.2%}, loss {self.best.train_loss:.4f}",
                *([] if self.verdict is None else [str(self.verdict)]),
                f"checkpoint   {self.best_checkpoint}",
                f"curves       {run / 'curves.png'}",
                f"time         {readable_duration(self.seconds)} for this run; training up to epoch "
                f"{last.epoch} {readable_duration(last.training_seconds or 0)}",
                f"browse       tensorboard --logdir {run.parent.parent}",
                f"look closer  python -m ansnet evaluate {quote(str(run))}",
                f"classify     python -m ansnet predict IMAGE --run {quote(str(run))}",
                f"take along   python -m ansnet export {quote(str(run))} --format onnx",
            ]
        )


def introduction(
    settings: Settings,
    record: dict[str, Any],
    trainer: lightning.Trainer,
    resumed: Checkpoint | None = None,
) -> str:
    """What is about to be trained, on what, with what; and from which checkpoint it goes on."""
    threads = record["threads"]
    device = f"cpu, {threads} thread" + ("s" if threads > 1 else "")
    if not isinstance(trainer.accelerator, lightning.accelerators.CPUAccelerator):
        device = f"{settings.devices} {trainer.strategy.root_device.type}, {record['gpu']}"
    epochs = f"{settings.max_epochs} epoch" + ("s" if settings.max_epochs > 1 else "")
    augmentation = "augmentation" if settings.augment else "no augmentation"
    layout = "channels last" if settings.channels_last else "channels first"
    compiled = f"{'nothing' if settings.compile == 'none' else settings.compile} compiled"
    if device_type(settings) == "cpu" and not finds_compiler():
        compiled += " (there is no C++ compiler)"
    return "\n".join(
        [
            f"{settings.model}: {record['parameters']:,} parameters, {settings.ops} operations, "
            f"on {settings.dataset}",
            f"{epochs}, {settings.optimizer}, lr {settings.lr:g}, batch {settings.batch_size}, "
            f"{augmentation}, seed {settings.seed}",
            f"{device}, {settings.precision}, {layout}, {compiled}",
            *filter(None, [record["precision_measured"], record["origin"]]),
            *([] if resumed is None else [f"goes on from {resumed}", *changes(resumed, settings)]),
            # not the trainer's own, which all processes would have to ask for together
            f"recorded in {trainer.loggers[0].log_dir}",
        ]
    )


def describe_run(
    settings: Settings, classifier: ImageClassifier, timing: Timing | None = None
) -> dict[str, Any]:
    """The settings, and what else the figures depend on; what decided the precision, if measured."""
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        **asdict(settings),
        "origin": classifier.origin,
        "precision_measured": None if timing is None else str(timing),
        "notation": classifier.network.notation,
        "parameters": sum(parameter.numel() for parameter in classifier.network.parameters()),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": cuda,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "lightning": version("lightning"),
        "ansnet": __version__,
        "commit": commit(),
    }
