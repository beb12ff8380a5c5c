"""What came of a check: a row for each capability."""

from __future__ import annotations

import textwrap
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
