"""What the recorded runs reached by the recommended recipes, for ``python -m ansnet models``::

    python benchmarks/recorded.py --record

reads ``lightning_logs/reference`` and writes ``ansnet/models/recorded.csv``; without ``--record`` it
prints what would be written. A run counts for its model
if it was trained by what `recommended_recipe` says, whatever views it was validated by at the end.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import TextIO

from ansnet.files import write_text
from ansnet.models import list_models
from ansnet.models import recorded as package
from ansnet.models.recorded import Recorded
from ansnet.training.comparison import Group, Record, grouped, read_record
from ansnet.training.recipes import recommended_recipe
from ansnet.training.settings import takes_effect

REFERENCE = Path(__file__).parents[1] / "lightning_logs/reference"
TABLE = Path(package.__file__).with_name(package.FILE)
DATASET = "cifar10"
VIEWS = ("test_time_flip", "test_time_shift")


def by_the_recipe(record: Record) -> bool:
    """Whether the run is one of a model by name, on CIFAR-10, by its recipe and these formulas."""
    settings = record.settings
    model = settings["model"]
    if model not in list_models() or (settings["dataset"], settings["ops"]) != (DATASET, "ansnet"):
        return False
    recipe = asdict(recommended_recipe(model, DATASET))
    return all(
        settings.get(name) == value
        for name, value in recipe.items()
        if name not in VIEWS and takes_effect(name, {"find_lr": False, **recipe})
    )


def summarised(group: Group) -> Recorded:
    settings = group.records[0].settings
    accuracy, augmented = group.figure("accuracy"), group.figure("accuracy_tta")
    assert accuracy is not None  # each epoch has one
    return Recorded(
        model=settings["model"],
        dataset=settings["dataset"],
        precision=settings["precision"],
        epochs=settings["max_epochs"],
        runs=len(group.records),
        accuracy=accuracy.mean,
        deviation=accuracy.deviation,
        accuracy_tta=augmented.mean if augmented else None,
        deviation_tta=augmented.deviation if augmented else None,
    )


def summarise(folder: Path = REFERENCE) -> Iterator[Recorded]:
    """A line for each model and precision, in the models' order."""
    records = [read_record(table.parent) for table in sorted(folder.glob("**/metrics.csv"))]
    found = map(summarised, grouped(list(filter(by_the_recipe, records))))
    yield from sorted(found, key=lambda each: (list_models().index(each.model), each.precision))


def write(file: TextIO) -> None:
    """Write the table, to the digits that accuracies in float32 have right."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(field.name for field in fields(Recorded))
    for each in summarise():
        writer.writerow(round(x, 6) if isinstance(x, float) else x for x in astuple(each))


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help="write it to the package's file")
    table = io.StringIO()
    write(table)
    if parser.parse_args(words).record:
        write_text(TABLE, table.getvalue())
    sys.stdout.write(table.getvalue())


if __name__ == "__main__":
    main()
