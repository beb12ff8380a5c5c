"""The rows of a check, printed as they come, and timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ansnet.commands.flags import as_flags
from ansnet.testing.arguments import name_of
from ansnet.testing.causes import Explanation, explanations
from ansnet.testing.exchange import Timed
from ansnet.testing.report import WIDTH, Report, Result, Row, told, wrapped


class Printer:
    """Is called with each row.

    Args:
        function: what is checked.
        name: as its user names it.
        capabilities: the rows to come.
        tell: is told which row is tried, for whom this process answers to.
    """

    def __init__(
        self, function: Any, name: str, capabilities: Sequence[str], tell: Callable[[str], None]
    ) -> None:
        self.name, self.tell = name, tell
        self.width = max(map(len, capabilities))
        self.seconds: dict[str, float] = {}
        self.since = time.monotonic()
        print(name_of(function), flush=True)

    def __call__(self, row: Row) -> None:
        now = time.monotonic()
        self.seconds[row.capability] = now - self.since
        self.since = now
        print(described(row, self.width), flush=True)
        self.tell(f"after the row {row.capability}")  # fails where nobody listens any longer

    def end(self, report: Report) -> None:
        """Print why rows fail, the worst cause first, and what all come to."""
        for number, explanation in enumerate(report.causes, 1):
            print("\n".join(["", *told(number, with_flags(explanation))]))
        if report.causes:
            print()
        if report.untried:
            print(report.told_untried)
        print(report.counts)

    def timed(self, report: Report) -> Timed:
        """The report with the seconds that its rows took."""
        return Timed(self.name, report, self.seconds)


def with_flags(explanation: Explanation) -> Explanation:
    """The explanation as it is told on a command line: with flags, and not with a call's options."""
    cause = explanation.cause
    cause = replace(cause, sentence=as_flags(cause.sentence), mending=as_flags(cause.mending))
    rows = (replace(row, detail=as_flags(row.detail)) for row in explanation.rows)
    return Explanation(cause, tuple(rows))


def described(row: Row, width: int) -> str:
    """A row as the lines of a report.

    Args:
        row: what came of a capability.
        width: of the longest capability's name.
    """
    head = f"  {row.capability:{width}}  {row.result.value:5}  "
    detail = row.detail
    if row.result is Result.FAIL:  # all of it is told below
        (explanation,) = map(with_flags, explanations([row]))
        cause = explanation.cause
        detail = f"{cause.severity.value}: {cause.sentence}"
    lines = wrapped(detail, WIDTH - len(head))
    return "\n".join([(head + lines[0]).rstrip(), *(" " * len(head) + line for line in lines[1:])])
