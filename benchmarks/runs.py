"""Whole runs of train.py as the rows of a table: which command, which seed, what it arrived at."""

from __future__ import annotations

import csv
import platform
import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path

import torch

from ansnet.cli import make_parser
from ansnet.training.run import Result, device_type, train
from ansnet.training.settings import Settings
from results import device_name


@dataclass(frozen=True)
class Run:
    """The figures after an epoch of a run, and what they depend on.

    Attributes:
        name: what distinguishes the run from the others of its table.
        options: of train.py, less the seed and where data and logs lie.
        val_accuracy_tta: with test-time averaging, if it was asked for and the epoch was the last.
        training_seconds: until then, without validation.
    """

    name: str
    options: str
    seed: int
    epoch: int
    val_accuracy: float
    val_accuracy_tta: float | None
    training_seconds: float
    device: str
    threads: int
    cpu_capability: str
    python: str
    torch: str
    date: str


def carry_out(name: str, options: str, seed: int, data_dir: str | None, log_dir: str) -> list[Run]:
    """Train as ``python train.py`` with these options would, and give the figures of each epoch."""
    words = [*shlex.split(options), "--seed", str(seed), "--log-dir", log_dir]
    if data_dir is not None:
        words += ["--data-dir", data_dir]
    settings = Settings.complete(vars(make_parser().parse_args(words)))
    return rows(name, options, settings, train(settings))


def rows(name: str, options: str, settings: Settings, result: Result) -> list[Run]:
    return [
        Run(
            name,
            options,
            settings.seed,
            epoch.epoch,
            epoch.val_accuracy,
            epoch.val_accuracy_tta,
            epoch.training_seconds,
            device_name(torch.device(device_type(settings))),
            torch.get_num_threads(),
            torch.backends.cpu.get_cpu_capability(),
            platform.python_version(),
            str(torch.__version__),
            date.today().isoformat(),
        )
        for epoch in result.history
        if epoch.training_seconds is not None
    ]


def append(runs: Iterable[Run], file: Path) -> None:
    """Add rows to the CSV, which is made if it is not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    is_new = not file.exists()
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Run)])
        if is_new:
            writer.writeheader()
        writer.writerows(
            {key: "" if value is None else value for key, value in asdict(run).items()} for run in runs
        )


def read(file: Path) -> list[Run]:
    """The rows that `append` has written; none if there is no file."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [
            Run(
                line["name"],
                line["options"],
                int(line["seed"]),
                int(line["epoch"]),
                float(line["val_accuracy"]),
                float(line["val_accuracy_tta"]) if line["val_accuracy_tta"] else None,
                float(line["training_seconds"]),
                line["device"],
                int(line["threads"]),
                *(line[key] for key in ("cpu_capability", "python", "torch", "date")),
            )
            for line in csv.DictReader(stream)
        ]
