"""``python -m ansnet compare RUN RUN…``: figures with ±, what differs, the curves in one picture."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from ansnet.commands.options import add_json, add_picture, add_run, check_picture, unwritten
from ansnet.commands.parser import Mistake, OneLineParser
from ansnet.commands.runs import find_runs
from ansnet.commands.table import table
from ansnet.training.comparison import (
    FIGURES,
    Group,
    RecordError,
    Spread,
    differing,
    grouped,
    percent,
    read_record,
)
from ansnet.training.comparison_picture import draw_comparison

WIDEST = 24  # characters of a setting's value


def make_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="python -m ansnet compare",
        description="Compare recorded runs: their figures, which settings differ, the curves in one "
        "picture. Runs that differ only in their seed are one group: mean ± standard deviation.",
    )
    add_run(parser, several=True)
    add_picture(parser, "compare.png", "the curves")
    add_json(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the runs that the command line names."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        check_picture(given.out)
        folders = find_runs(given.runs, given.log_dir)
        if len(folders) < 2:
            parser.error(f"there is one run to compare, {folders[0]}; name two or more")
        groups = grouped([read_record(folder) for folder in folders])
    except (Mistake, RecordError) as error:
        parser.error(str(error))
    letters = [letter(number) for number in range(len(groups))]
    try:
        draw_comparison(groups, letters, given.out)
    except OSError as error:
        parser.error(str(unwritten(given.out, error)))
    if given.json:
        print(json.dumps(as_json(groups, given.out)))
    else:
        print(report(groups, letters, given.out))
    return 0


def letter(number: int) -> str:
    """A, B, … Z, A1, B1, …"""
    again, place = divmod(number, len(ascii_uppercase))
    return ascii_uppercase[place] + (str(again) if again else "")


def report(groups: Sequence[Group], letters: Sequence[str], picture: Path) -> str:
    """What a person reads: the figures, what differs, and where the picture is."""
    sections = [figures(groups, letters)]
    for of, title in (("settings", "settings that differ"), ("machine", "machine and versions")):
        differences = differing(groups, of)
        if differences:
            rows = [[name, *cells(by_group)] for name, by_group in differences.items()]
            sections.append(table([[title, *letters], *rows], left=len(letters) + 1))
    if not differing(groups):
        sections.append("no setting differs, but for the seed")
    notes = ["·: as A"] if len(groups) > 2 else []
    if any(len(group.records) > 1 for group in groups):
        notes.append("±: standard deviation of a sample, the runs of a group, which differ by seed")
    if "label_smoothing" in differing(groups):
        notes.append("loss: with label smoothing, so it compares only where that is the same")
    if differing(groups, "machine"):
        notes.append("time and speed compare only where machine and versions are the same")
    return "\n\n".join([*sections, "\n".join([*notes, f"curves: {picture}"])])


def cells(by_group: Sequence[Sequence[Any]]) -> list[str]:
    """A setting in each group; a dot where it is the first group's, of three or more."""
    first, *others = (" / ".join(map(word, values)) for values in by_group)
    return [first, *("·" if each == first else each for each in others)]


COLUMNS = {
    "accuracy": "accuracy, %",
    "accuracy_tta": "augmented, %",
    "best_accuracy": "best, %",
    "loss": "loss",
    "training_seconds": "training",
    "images_per_second": "images/s",
}


def figures(groups: Sequence[Group], letters: Sequence[str]) -> str:
    """A line a group."""
    rows = [["", "runs", "n", "epochs", *COLUMNS.values()]]
    for each, group in zip(letters, groups, strict=True):
        found = [figure(name, group.figure(name)) for name in COLUMNS]
        epochs = group.figure("epochs")
        rows.append([each, group.name, str(len(group.records)), figure("epochs", epochs), *found])
    return table(rows, left=2)


def figure(name: str, spread: Spread | None) -> str:
    """A figure as a person reads it, in the unit of its column."""
    if spread is None:
        return "–"
    scale, digits, unit = 1.0, 0, ""
    match name:
        case "accuracy" | "accuracy_tta" | "best_accuracy":
            return percent(spread.mean, spread.deviation)
        case "loss":
            digits = 4
        case "training_seconds":
            scale, digits, unit = (1, 1, " s") if spread.mean < 120 else (1 / 60, 1, " min")
    text = f"{scale * spread.mean:,.{digits}f}"
    if spread.deviation is not None and (name != "epochs" or spread.deviation):
        text += f" ± {scale * spread.deviation:,.{digits}f}"
    return text + unit


def word(value: Any) -> str:
    """A setting's value in a table."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def as_json(groups: Sequence[Group], picture: Path) -> dict[str, Any]:
    """The same for programs; of each setting that differs, for each group the values in it."""
    told = []
    for group in groups:
        spreads = {name: group.figure(name) for name in FIGURES}
        told.append(
            {
                "name": group.name,
                "runs": [str(record.folder) for record in group.records],
                "seeds": [record.seed for record in group.records],
                "figures": {name: spread and asdict(spread) for name, spread in spreads.items()},
            }
        )
    return {
        "groups": told,
        "settings": differing(groups),
        "machine": differing(groups, "machine"),
        "picture": str(picture),
    }


if __name__ == "__main__":
    sys.exit(main())
