"""What came of the questions: a row for each tool, question and network, kept as CSV."""

from __future__ import annotations

import csv
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from tests.tools.answers import difference, error_text, summary
from tests.tools.asking import ToolError, respond
from tests.tools.tool import Tool

CSV = Path(__file__).parents[2] / "benchmarks/results/checks/tools.csv"
SAME, DIFFERS, RAISES = "same", "differs", "raises"


@dataclass(frozen=True)
class Row:
    """A line of the CSV.

    Attributes:
        twin: the answer about the twin, in a few words.
        ansnet: whether the answer about our network is the same, differs, or the tool raises.
        detail: the first difference, or the error.
        by_way_round: the same, about the way round; empty where there is none.
    """

    package: str
    tool: str
    asked: str
    network: str
    version: str
    torch: str
    python: str
    twin: str
    ansnet: str
    detail: str
    by_way_round: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What the row is about."""
        return self.tool, self.asked, self.network


def examine(tool: Tool, name: str) -> Row:
    """Ask about our network and about its twin, and by the way round if there is one."""
    theirs = respond(tool, name, "twin")
    ansnet, detail = compare(tool, name, "ansnet", theirs)
    return Row(
        package=tool.package,
        tool=tool.name,
        asked=tool.asked,
        network=name,
        version=tool.version or "",
        torch=str(torch.__version__),
        python=platform.python_version(),
        twin=summary(theirs),
        ansnet=ansnet,
        detail=detail,
        by_way_round=compare(tool, name, "way round", theirs)[0] if tool.ask_round else "",
    )


def compare(tool: Tool, name: str, about: str, theirs: Any) -> tuple[str, str]:
    """Whether an answer is the twin's, and how it differs."""
    try:
        text = difference(respond(tool, name, about), theirs, tool.tolerance)
    except ToolError as error:
        return RAISES, str(error)
    except Exception as error:  # whatever a tool raises is what came of it
        return RAISES, error_text(error)
    return (DIFFERS, text) if text else (SAME, "")


def read(file: Path = CSV) -> list[Row]:
    """The rows of the CSV; none if there is no file."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [Row(**line) for line in csv.DictReader(stream)]


def write(rows: Iterable[Row], file: Path = CSV) -> None:
    """Write the CSV."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Row)])
        writer.writeheader()
        writer.writerows(map(asdict, rows))


def merge(old: Iterable[Row], new: Iterable[Row], tools: Iterable[Tool]) -> list[Row]:
    """New rows in the place of old ones, in the order of the tools; what nobody asks any more goes."""
    known = {row.key: row for row in [*old, *new]}
    keys = [(tool.name, tool.asked, name) for tool in tools for name in tool.networks]
    return [known[key] for key in keys if key in known]
