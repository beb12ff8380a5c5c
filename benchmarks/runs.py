"""Whole runs of train.py as the rows of a table: which command, which seed, what it arrived at."""

from __future__ import annotations

import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from ansnet.commands.train import make_parser
from ansnet.compatibility import lightning
from ansnet.training.machine import complete_by_device, device_type, silence_expected_messages
from ansnet.training.precision import settled
from ansnet.training.run import train
from ansnet.training.settings import Settings
from results import Conditions, conditions


@dataclass(frozen=True, kw_only=True)
class Run(Conditions):
    """The figures after an epoch of a run, and what they depend on.

    Attributes:
        name: what distinguishes the run from the others of its table.
        options: of train.py, less the seed and where data and logs lie.
        val_accuracy_tta: with test-time augmentation, if it was asked for and the epoch was the last.
        training_seconds: until then, without validation.
    """

    name: str
    options: str
    seed: int
    epoch: int
    val_accuracy: float
    val_accuracy_tta: float | None
    training_seconds: float
    precision: str
    compile: str


def complete(options: str, seed: int, data_dir: str | None) -> Settings:
    """The settings of ``python train.py`` with these options, this seed, and the data there."""
    words = [*shlex.split(options), "--seed", str(seed)]
    if data_dir is not None:
        words += ["--data-dir", data_dir]
    return Settings.complete(vars(make_parser().parse_args(words)))


def carry_out(name: str, options: str, seed: int, data_dir: str | None, log_dir: str) -> list[Run]:
    """Train as ``python train.py`` with these options would, and give the figures of each epoch."""
    settings = replace(complete(options, seed, data_dir), log_dir=log_dir)
    settings, _ = settled(complete_by_device(settings))
    return [
        Run(
            name=name,
            options=options,
            seed=seed,
            epoch=epoch.epoch,
            val_accuracy=epoch.val_accuracy,
            val_accuracy_tta=epoch.val_accuracy_tta,
            training_seconds=epoch.training_seconds,
            precision=str(settings.precision),
            compile=str(settings.compile),
            **conditions(torch.device(device_type(settings))),
        )
        for epoch in train(settings).history
        if epoch.training_seconds is not None
    ]


@contextmanager
def bare_trainer(**arguments: Any) -> Iterator[lightning.Trainer]:
    """A trainer that records and prints nothing, and runs operations as they are, never compiled."""
    with warnings.catch_warnings(), torch.compiler.set_stance("force_eager"):
        silence_expected_messages()
        yield lightning.Trainer(
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **arguments,
        )
