"""The recorded results as Markdown tables, for the README::

python benchmarks/summary.py
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from measure import RESULTS
from results import Row, describe, means, ours, read


def summary(folder: Path) -> str:
    """A section for each CSV in the folder."""
    return "\n\n".join(section(read(file, Row)) for file in sorted(folder.glob("*.csv")))


def section(rows: Sequence[Row]) -> str:
    """What was measured where, and its table: of operations over their shapes, else line by line."""
    first = rows[0]
    dates = sorted({row.date for row in rows})
    where = (
        f"**{first.benchmark}**, {first.precision}, on {first.device}, {first.threads} threads, "
        f"{first.cpu_capability}; torch {first.torch}, Python {first.python}, {dates[-1]}; "
        f"{first.rounds} rounds"
    )
    table = operations_table if first.benchmark == "operations" else step_table
    return f"{where}\n\n{table(rows)}"


def operations_table(rows: Sequence[Row]) -> str:
    """An operation and pass a line: the geometric mean over its shapes, and the range of its times."""
    formats = list(dict.fromkeys(row.memory_format for row in rows))
    header = ["operation", "pass"]
    header += [f"{quantity}, {name}" for name in formats for quantity in ("time", "memory")]
    lines = []
    for passes in dict.fromkeys(row.passes for row in rows):
        of_pass = [row for row in ours(rows) if row.passes == passes]
        for name in dict.fromkeys(row.name for row in of_pass):
            of_name = [row for row in of_pass if row.name == name]
            lines.append([name, passes, *ratio_cells(of_name, formats)])
        lines.append(["**geometric mean**", passes, *ratio_cells(of_pass, formats)])
    return markdown(header, lines)


def ratio_cells(rows: Sequence[Row], formats: Sequence[str]) -> list[str]:
    """Time and memory in each memory format."""
    cells = []
    for memory_format in formats:
        of_format = [row for row in rows if row.memory_format == memory_format]
        if of_format:
            time, memory = means(of_format)
            ratios = [row.time_ratio for row in of_format if row.time_ratio is not None]
            cells += [f"{time:.2f} ({min(ratios):.2f}–{max(ratios):.2f})", describe(memory, 2)]
        else:
            cells += ["–", "–"]
    return cells


def step_table(rows: Sequence[Row]) -> str:
    """A model a line: ours, the fastest of the others, and the ratios."""
    header = ["model", "what", "ansnet", "fastest other", "time, with quartiles", "memory"]
    lines = []
    for row in ours(rows):
        (fastest,) = (
            other
            for other in rows
            if (other.name, other.shape) == (row.name, row.shape)
            and f"{other.provider}, {other.memory_format}" == row.against
        )
        lines.append(
            [
                row.name,
                f"{row.passes}, {row.shape}",
                f"{row.median_ms:.1f} ms ({row.provider}, {row.memory_format})",
                f"{fastest.median_ms:.1f} ms ({row.against})",
                f"{row.time_ratio:.2f} ({row.time_ratio_lower:.2f}–{row.time_ratio_upper:.2f})",
                describe(row.memory_ratio, 2),
            ]
        )
    return markdown(header, lines)


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    table = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in table)


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the results as Markdown tables.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the CSVs")
    print(summary(parser.parse_args().results))


if __name__ == "__main__":
    main()
