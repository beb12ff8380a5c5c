"""Recorded runs beside each other: what differs in their settings, their figures, their curves.

Runs that differ only in their seed are one group, of which mean and standard deviation are told, that
of a sample (over n − 1). Where and how fast it was computed does not divide a group, nor does a setting
that has no effect.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_UP, Decimal
from itertools import takewhile
from math import inf
from pathlib import Path
from statistics import harmonic_mean, mean
from typing import Any

from ansnet.training.history import Epoch, best_epoch, read_history
from ansnet.training.settings import Settings, defaults, takes_effect
from ansnet.training.spread import deviation

# what was computed on, and what changes no more than time and rounding
MACHINE = (
    *(
        "accelerator",
        "gpu",
        "compile",
        "channels_last",
        "machine",
        "cores",
        "cpu_capability",
        "threads",
    ),
    *("python", "torch", "torchvision", "lightning", "ansnet", "commit", "resume"),
)
# where files and records lay; how rate and precision were come by; and what follows from the model
LEFT_OUT = (
    "data_dir",
    "log_dir",
    "mirror",
    "wandb",
    "mlflow",
    "find_lr",
    "parameters",
    "pictures_every",
    "max_time",
    "precision_measured",
)
DAMAGED = (ArithmeticError, KeyError, TypeError, ValueError, csv.Error)
KINDS = {"int": (int,), "float": (float, int), "bool": (bool,), "str": (str,)}
OPTIONS = {setting.name for setting in fields(Settings)}


class RecordError(ValueError):
    """A folder that holds no readable record of a run; the message names the file and the reason."""


@dataclass(frozen=True)
class Record:
    """What a run has recorded.

    Attributes:
        folder: in which its files are.
        settings: those that decide what is trained, less the seed.
        machine: what it was computed on (`MACHINE`).
        seed: of its random numbers.
        history: its epochs.
    """

    folder: Path
    settings: dict[str, Any]
    machine: dict[str, Any]
    seed: int
    history: list[Epoch]


def read_record(folder: Path) -> Record:
    """Read ``hparams.yaml`` and ``metrics.csv``.

    An option that an older ansnet did not have has its default.

    Raises:
        RecordError: one of them is missing or damaged, or no epoch was completed.
    """
    told = read_settings(folder / "hparams.yaml")
    table = folder / "metrics.csv"
    try:
        history = read_history(table)
    except OSError as error:
        raise RecordError(f"{table}: it cannot be read ({error.strerror})") from error
    except DAMAGED as error:
        raise RecordError(f"{table}: it is damaged ({error})") from error
    for epoch in history:
        speed = epoch.images_per_second
        known = [epoch.train_accuracy, epoch.val_accuracy, epoch.training_seconds or 0.0, speed or 1.0]
        if not all(0 <= figure < inf for figure in known):
            raise RecordError(f"{table}: it is damaged (a figure of epoch {epoch.epoch} cannot be)")
    if all(epoch.epoch == 0 for epoch in history):
        raise RecordError(f"{table}: it holds no epoch that was completed")
    values = {**defaults(Settings), **{name: each for name, each in told.items() if each is not None}}
    seed = values.pop("seed")
    machine = {name: values.pop(name, None) for name in MACHINE}
    for name in LEFT_OUT:
        values.pop(name, None)
    settings = {
        name: values[name]
        for name in sorted(values)
        if name not in OPTIONS or takes_effect(name, values)
    }
    return Record(folder, settings, machine, seed, history)


def read_settings(file: Path) -> dict[str, Any]:
    """What ``hparams.yaml`` says.

    Raises:
        RecordError: as `read_record`.
    """
    import yaml

    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{file}: it cannot be read ({error.strerror})") from error
    except (RecursionError, ValueError, yaml.YAMLError) as error:
        raise RecordError(f"{file}: it is damaged ({' '.join(str(error).split())})") from error
    if not isinstance(told, dict) or not isinstance(told.get("model"), str):
        raise RecordError(f"{file}: these are no settings of a run")
    for setting in fields(Settings):
        value = told.get(setting.name)
        kinds = KINDS.get(str(setting.type).removesuffix(" | None"), (type(value),))
        if value is not None and type(value) not in kinds:
            raise RecordError(f"{file}: it is damaged ({setting.name} is {shortened(value)})")
    return told


def shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


@dataclass(frozen=True)
class Spread:
    """A figure of several runs.

    Attributes:
        mean: over them.
        deviation: the standard deviation of the sample; None of a single run.
    """

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(mean(values), deviation(values) if len(values) > 1 else None)


def percent(share: float, deviation: float | None = None) -> str:
    """A share in per cent, to two digits, with its deviation if there is one.

    Half a digit is rounded up. Shares of 10,000 images have two digits, and the mean of two has a half
    often; in float32 it may lie on either side.

    Example:
        >>> percent(0.90335), percent(0.81725, 0.0022)
        ('90.34', '81.73 ± 0.22')
    """
    exact = Decimal(repr(round(100 * share, 4)))
    rounded = str(exact.quantize(Decimal("0.01"), ROUND_HALF_UP))
    return rounded if deviation is None else f"{rounded} ± {100 * deviation:.2f}"


FIGURES: dict[str, Callable[[Sequence[Epoch]], float | None]] = {
    "epochs": lambda history: history[-1].epoch,
    "accuracy": lambda history: history[-1].val_accuracy,
    "accuracy_tta": lambda history: history[-1].val_accuracy_tta,
    "best_accuracy": lambda history: best_epoch(list(history)).val_accuracy,
    "loss": lambda history: history[-1].val_loss,
    "training_seconds": lambda history: history[-1].training_seconds,
    "images_per_second": lambda history: speed(history),
}
"""Of a run by its epochs: after the last, but for the best accuracy; None if it was not recorded."""


def speed(history: Sequence[Epoch]) -> float | None:
    """Images trained on a second, over all epochs: they have as many images, so the harmonic mean."""
    known = [epoch.images_per_second for epoch in history if epoch.images_per_second is not None]
    return harmonic_mean(known) if known else None


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed.

    Attributes:
        name: of their folders, from where they part.
        records: of the runs, one or more.
    """

    name: str
    records: list[Record]

    def figure(self, name: str) -> Spread | None:
        """One of `FIGURES`; None unless each run has it."""
        values = [FIGURES[name](record.history) for record in self.records]
        known = [value for value in values if value is not None]
        return Spread.of(known) if len(known) == len(values) else None

    def curve(self, quantity: str) -> list[tuple[int, Spread]]:
        """An attribute of `Epoch` after each epoch of training that all runs have completed."""
        by_epoch = [{epoch.epoch: epoch for epoch in record.history} for record in self.records]
        shared = sorted(set.intersection(*(set(epochs) for epochs in by_epoch)) - {0})
        return [
            (epoch, Spread.of([getattr(epochs[epoch], quantity) for epochs in by_epoch]))
            for epoch in shared
        ]


def grouped(records: Sequence[Record]) -> list[Group]:
    """The groups, in the order of their first runs."""
    groups: list[list[Record]] = []
    for record in records:
        group = next((group for group in groups if not differing_names([group[0], record])), None)
        if group is None:
            groups.append([record])
        else:
            group.append(record)
    names = dict(zip(map(id, records), short_names([r.folder for r in records]), strict=True))
    return [Group(joined_name([names[id(record)] for record in group]), group) for group in groups]


def short_names(folders: Sequence[Path]) -> list[str]:
    """Paths, less what they have in common before they part."""
    paths = [folder.resolve() for folder in folders]
    parents = {path.parent for path in paths}
    shared = Path(os.path.commonpath(parents))
    return [str(path.relative_to(shared)) for path in paths]


def joined_name(names: Sequence[str]) -> str:
    """Several names as a shell's pattern writes them.

    Example:
        >>> joined_name(["seed_0_cpu", "seed_1_cpu"]), joined_name([f"seed_{i}" for i in range(9)])
        ('seed_{0,1}_cpu', 'seed_{0..8}')
    """
    if len(names) == 1:
        return names[0]
    start = shared_start(names).rstrip("0123456789")
    end = shared_start([name[len(start) :][::-1] for name in names])[::-1].lstrip("0123456789")
    middles = [name[len(start) : len(name) - len(end)] for name in names]
    numbers = sorted(int(each) for each in middles if each.isdecimal())
    if len(numbers) == len(names) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{start}{{{numbers[0]}..{numbers[-1]}}}{end}"
    return f"{start}{{{','.join(middles)}}}{end}"


def shared_start(names: Sequence[str]) -> str:
    """The letters with which all begin."""
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in alike)


def differing_names(records: Sequence[Record], of: str = "settings") -> list[str]:
    """What is not the same in all of them; what is off, what has no effect and what is not said are."""
    tables = [getattr(record, of) for record in records]
    names = sorted({name for table in tables for name in table})
    return [name for name in names if len({repr(table.get(name) or None) for table in tables}) > 1]


def differing(groups: Sequence[Group], of: str = "settings") -> dict[str, list[list[Any]]]:
    """What is not the same in all runs: by its name, for each group the values that it has there.

    Args:
        groups: which are compared.
        of: ``"settings"`` or ``"machine"``.
    """
    tables = [[getattr(record, of) for record in group.records] for group in groups]
    names = differing_names([record for group in groups for record in group.records], of)
    found = {name: [distinct(name, group) for group in tables] for name in names}
    if "model" in found:  # whose notation it is
        found.pop("notation", None)
    return found


def distinct(name: str, tables: Sequence[Mapping[str, Any]]) -> list[Any]:
    values: list[Any] = []
    for table in tables:
        if table.get(name) not in values:
            values.append(table.get(name))
    return values
