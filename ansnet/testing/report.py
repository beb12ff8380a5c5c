"""What came of a check: a row for each capability."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum


class Result(Enum):
    """What a row says."""

    PASS = "pass"
    FAIL = "FAIL"
    NOT_APPLICABLE = "n/a"


@dataclass(frozen=True)
class Row:
    """One capability.

    Attributes:
        capability: its name.
        result: passed, failed or not applicable.
        detail: on failure the first sample that fails, and why; else the reasons for what was left out.
        error: what was raised, on failure.
    """

    capability: str
    result: Result
    detail: str = ""
    error: Exception | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Report:
    """The rows of one function; prints as a table."""

    function: str
    rows: tuple[Row, ...]

    @property
    def passed(self) -> bool:
        """Whether no row failed."""
        return not self.failures

    @property
    def failures(self) -> list[Row]:
        """The rows that failed."""
        return [row for row in self.rows if row.result is Result.FAIL]

    def __getitem__(self, capability: str) -> Row:
        """The row of a capability.

        Raises:
            KeyError: the battery has no such capability.
        """
        for row in self.rows:
            if row.capability == capability:
                return row
        raise KeyError(capability)

    def __str__(self) -> str:
        width = max(len(row.capability) for row in self.rows)
        lines = [self.function]
        for row in self.rows:
            head = f"  {row.capability:{width}}  {row.result.value:4}  "
            detail = textwrap.wrap(row.detail, 100 - len(head)) or [""]
            lines.append((head + detail[0]).rstrip())
            lines += [" " * len(head) + line for line in detail[1:]]
        counts = [
            f"{sum(row.result is result for row in self.rows)} {word}"
            for result, word in zip(Result, ("passed", "failed", "not applicable"), strict=True)
        ]
        return "\n".join([*lines, ", ".join(counts)])


SIGNS = {Result.PASS: "yes", Result.FAIL: "**no**", Result.NOT_APPLICABLE: "—"}


def markdown(reports: Sequence[Report], descriptions: Mapping[str, str], machine: str) -> str:
    """A table of capabilities × functions, each reason a numbered note below it.

    Args:
        reports: one a function, all of the same capabilities.
        descriptions: what each capability means.
        machine: where the reports were made.
    """
    notes: dict[str, int] = {}
    lines = [
        "# Operations and capabilities",
        "",
        "Written by `python -m ansnet capabilities`; not by hand. "
        "*yes*: passed on every sample, —: makes no sense there, and the note says why.",
        "",
        f"Measured with {machine}.",
        "",
        "| capability | " + " | ".join(f"`{report.function}`" for report in reports) + " |",
        "|---|" + "---|" * len(reports),
    ]
    for capability in descriptions:
        cells = []
        for row in (report[capability] for report in reports):
            number = notes.setdefault(row.detail, len(notes) + 1) if row.detail else None
            cells.append(SIGNS[row.result] + (f" [{number}](#notes)" if number else ""))
        lines.append(f"| {capability} | " + " | ".join(cells) + " |")
    lines += ["", "## Notes", "", *(f"{number}. {note}" for note, number in notes.items())]
    lines += ["", "## What each asks", "", "| capability | passes where |", "|---|---|"]
    lines += [f"| {capability} | {text} |" for capability, text in descriptions.items()]
    return "\n".join(lines)


def summary(error: BaseException) -> str:
    """Type and first lines of an exception, as one line; without the matrices that gradcheck prints."""
    text = " ".join(str(error).partition("numerical:")[0].split()).rstrip(",") or "no message"
    text = text if len(text) <= 240 else f"{text[:240]} …"
    return text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}"
