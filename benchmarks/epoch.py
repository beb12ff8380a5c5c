"""An epoch of training as train.py runs it, beside as many plain steps on one batch::

    python benchmarks/epoch.py --model resnet9
    python benchmarks/epoch.py --dataset shapes10 --steps 50 --rounds 5

What an epoch costs beyond its steps is loading and augmenting the images, and Lightning: its loop,
its logs and the metrics. The plain steps are those of the same network and optimizer, on a batch
that lies on the device. They follow each epoch within one run, after an epoch that warms up.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import replace
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch

from ansnet.compatibility import lightning
from ansnet.models import list_models
from ansnet.testing.conduct import collector_off
from ansnet.training.build import make_classifier, make_data, make_trainer
from ansnet.training.callbacks import StepLog
from ansnet.training.datasets import DATASETS
from ansnet.training.machine import complete_by_device, silence_expected_messages
from ansnet.training.report import describe_run
from ansnet.training.settings import Settings
from measure import Call, Measurement, make_parser, prepare, time_call
from results import Work, place, show, write
from training_step import make_step

PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}  # Lightning's names


class AlternatingTimer(lightning.Callback):
    """Times each epoch, from the end of what came before it, and then as many plain steps."""

    def __init__(self, step: Call) -> None:
        self.step = step
        self.epochs: list[float] = []
        self.plain: list[float] = []

    def on_train_start(self, trainer: lightning.Trainer, *unused: Any) -> None:
        self.start = perf_counter()

    def on_train_epoch_end(self, trainer: lightning.Trainer, *unused: Any) -> None:
        device = trainer.strategy.root_device
        if device.type == "cuda":
            torch.cuda.synchronize()
        self.epochs.append(perf_counter() - self.start)
        self.steps = int(trainer.num_training_batches)
        self.plain.append(self.steps * time_call(self.step, self.steps, device))
        self.start = perf_counter()


def complete(options: argparse.Namespace, log_dir: str) -> Settings:
    """The settings of the run: the recommended recipe, with augmentation."""
    return Settings.complete(
        {
            "model": options.model,
            "dataset": options.dataset,
            "data_dir": options.data_dir,
            "batch_size": options.batch_size,
            "augment": True,
            "max_epochs": 1 + options.rounds,
            "channels_last": True,
            "precision": PRECISIONS[options.precision],
            "accelerator": options.device,
            "devices": 1,
            "seed": 0,
            "ops": "ansnet",
            "log_dir": log_dir,
        }
    )


def plain_step(settings: Settings, device: torch.device, precision: str) -> Call:
    """A step of the same network on the first batch; its learning rate is 0, so that each is alike."""
    data = make_data(settings)
    data.prepare_data()
    images, targets = next(iter(data.train_dataloader()))
    classifier = make_classifier(replace(settings, lr=0.0)).to(device)
    return make_step(
        classifier.network,
        classifier.criterion,
        classifier.make_optimizer(),
        images.to(device),
        targets.to(device),
        precision,
    )


def alternate(settings: Settings, step: Call, limit: int | float) -> AlternatingTimer:
    """Train epochs of ``limit`` steps, or 1.0 for all of them, each followed by plain steps."""
    timer = AlternatingTimer(step)
    classifier, data = make_classifier(settings), make_data(settings)
    with warnings.catch_warnings(), collector_off():
        silence_expected_messages()
        trainer = data.trainer = make_trainer(settings)
        for logger in trainer.loggers:
            logger.log_hyperparams(describe_run(settings, classifier))
        # Neither validation nor what waits for it, the checkpoints and the lines on the terminal.
        trainer.limit_val_batches = 0
        trainer.limit_train_batches = limit
        trainer.callbacks = [StepLog(), timer]  # type: ignore[attr-defined]
        trainer.fit(classifier, data.train_dataloader(), data.val_dataloader())
    return timer


def main() -> None:
    parser = make_parser(__doc__, rounds=5)
    parser.add_argument("--model", choices=list_models(), default="vgg7")
    parser.add_argument("--dataset", choices=DATASETS, default="cifar10")
    parser.add_argument("--data-dir", help="as train.py's")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--steps", type=int, help="of each epoch; otherwise all")
    options = parser.parse_args()
    device = prepare(options)
    with TemporaryDirectory() as log_dir:
        settings = complete_by_device(complete(options, log_dir))
        step = plain_step(settings, device, options.precision)
        timer = alternate(settings, step, options.steps or 1.0)
    shape = f"{timer.steps} steps of {options.batch_size}"
    measurements = [  # without the round that warmed up
        Measurement("ansnet", "channels_last", timer.epochs[1:]),
        Measurement("plain steps", "channels_last", timer.plain[1:]),
    ]
    work = Work("epoch", options.model, shape, "epoch", options.precision)
    rows = work.rows(measurements, device)
    show(rows)
    write(rows, place(options.results, "epoch", device, options.precision))


if __name__ == "__main__":
    main()
