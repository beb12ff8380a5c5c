"""What the recorded runs of each model reached by its recommended recipe: ``recorded.csv``.

The file is written by ``python benchmarks/recorded.py --record`` from the records in
``lightning_logs/reference``, which are not installed.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files

FILE = "recorded.csv"


@dataclass(frozen=True)
class Recorded:
    """Runs that differ only in their seed.

    Attributes:
        model: its name.
        dataset: on which it was trained, and whose validation images it was shown.
        precision: in which it computed, as ``--precision``.
        epochs: of training.
        runs: how many.
        accuracy: after the last epoch, the mean over the runs.
        deviation: the standard deviation of the sample; None of a single run.
        accuracy_tta, deviation_tta: with the test-time augmentation that the runs had; None without.
    """

    model: str
    dataset: str
    precision: str
    epochs: int
    runs: int
    accuracy: float
    deviation: float | None
    accuracy_tta: float | None
    deviation_tta: float | None


def read_recorded(model: str) -> list[Recorded]:
    """The recorded accuracies of a model, that of the most runs first; none if it was not recorded.

    Example:
        >>> [(each.precision, each.runs) for each in read_recorded("resnet9")]
        [('bf16-mixed', 10), ('32-true', 1), ('bf16-mixed', 1)]
    """
    with files("ansnet.models").joinpath(FILE).open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] == model]
    return sorted(map(from_row, rows), key=lambda each: -each.runs)


def from_row(row: dict[str, str]) -> Recorded:
    def number(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    return Recorded(
        row["model"],
        row["dataset"],
        row["precision"],
        int(row["epochs"]),
        int(row["runs"]),
        float(row["accuracy"]),
        number("deviation"),
        number("accuracy_tta"),
        number("deviation_tta"),
    )
