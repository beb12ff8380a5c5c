"""What came of a check: a row for each capability."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from ansnet.testing.causes import Cause, Explanation, explanations, page_of
from ansnet.testing.messages import summary as summary


class Result(Enum):
    """What a row says."""

    PASS = "pass"
    FAIL = "FAIL"
    NOT_APPLICABLE = "n/a"
    EXPECTED_FAILURE = "xfail"


@dataclass(frozen=True)
class Row:
    """One capability.

    Attributes:
        capability: its name.
        result: passed, failed or not applicable.
        detail: on failure the first sample that fails, and why; else the reasons for what was left out.
        error: what was raised, on failure; of a row that was tried in another process, its traceback.
        excused: whether ``not_applicable`` gave the reason.
        cause: why it fails, and how to mend it.
    """

    capability: str
    result: Result
    detail: str = ""
    error: Exception | None = field(default=None, repr=False, compare=False)
    excused: bool = False
    cause: Cause | None = None


@dataclass(frozen=True)
class Report:
    """The rows of one function; prints as a table.

    Attributes:
        function: its name.
        rows: one a capability.
        essential: the capabilities without which the report says nothing.
    """

    function: str
    rows: tuple[Row, ...]
    essential: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no row failed, and what is essential was tried."""
        return not self.failures and not self.untried

    @property
    def untried(self) -> list[Row]:
        """Rows of essential capabilities that were not tried, without a reason given to the check."""
        return [row for row in self.rows if is_untried(row, self.essential)]

    @property
    def told_untried(self) -> str:
        """That essential capabilities could not be tried, and what may be the reason; a line."""
        names = ", ".join(row.capability for row in self.untried)
        line = f"does not pass: {names} could not be tried"
        if all(EXCUSED in row.detail for row in self.untried):
            line += "; do the samples fit the reference?"
        return line

    @property
    def failures(self) -> list[Row]:
        """The rows that failed."""
        return [row for row in self.rows if row.result is Result.FAIL]

    @property
    def causes(self) -> list[Explanation]:
        """Why rows failed, the worst first; rows of one cause together."""
        return explanations(self.failures)

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
        causes = self.causes
        numbers = {
            row.capability: number
            for number, explanation in enumerate(causes, 1)
            for row in explanation.rows
        }
        lines = [self.function]
        for row in self.rows:
            head = f"  {row.capability:{width}}  {row.result.value:4}  "
            number = numbers.get(row.capability)
            detail = wrapped(row.detail if number is None else f"cause {number}", WIDTH - len(head))
            lines.append((head + detail[0]).rstrip())
            lines += [" " * len(head) + line for line in detail[1:]]
        for number, explanation in enumerate(causes, 1):
            lines += ["", *told(number, explanation)]
        lines += [""] if causes else []
        if self.untried:
            lines.append(self.told_untried)
        return "\n".join([*lines, self.counts])

    @property
    def counts(self) -> str:
        """How many rows say what."""
        counts = {
            word: sum(row.result is result for row in self.rows) for result, word in WORDS.items()
        }
        return ", ".join(
            f"{count} {word}" for word, count in counts.items() if count or word != "expected to fail"
        )


WIDTH = 100
EXCUSED = "the reference cannot either"
WORDS = {
    Result.PASS: "passed",
    Result.FAIL: "failed",
    Result.NOT_APPLICABLE: "not applicable",
    Result.EXPECTED_FAILURE: "expected to fail",
}
SIGNS = {
    Result.PASS: "yes",
    Result.FAIL: "**no**",
    Result.NOT_APPLICABLE: "—",
    Result.EXPECTED_FAILURE: "*no*",
}


def is_untried(row: Row, essential: Collection[str]) -> bool:
    """Whether a row should have been tried, or a reason been given why not."""
    return row.capability in essential and row.result is Result.NOT_APPLICABLE and not row.excused


def told(number: int, explanation: Explanation) -> list[str]:
    """A cause as a reader of a terminal is told it."""
    cause, first = explanation.cause, explanation.rows[0]
    head = f"cause {number}  "
    indent = " " * len(head)
    lines = wrapped(f"{cause.severity.value}: {cause.sentence}", WIDTH - len(head))
    lines = [head + lines[0], *(indent + line for line in lines[1:])]
    parts = {
        "rows": wrapped(", ".join(explanation.capabilities), WIDTH - len(head) - 7),
        "first": wrapped(f"{first.capability}: {first.detail}", WIDTH - len(head) - 7),
        "at": [cause.place] if cause.place else [],
        "mend": [part for line in cause.mending.splitlines() for part in code_lines(line)],
        "page": [cause.page] if cause.page else [],
    }
    for name, texts in parts.items():
        for position, text in enumerate(texts):
            lines.append(f"{indent}{'' if position else name:5}  {text}")
    return lines


def code_lines(code: str) -> list[str]:
    """A line of code as it fits beneath its head: what is too long goes on, indented, below."""
    width = WIDTH - 16
    lines = textwrap.wrap(
        code,
        width,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    return [code] if len(code) <= width else lines


def message(row: Row) -> list[str]:
    """What a failing test says: the row, and its cause where there is one."""
    lines = [f"{row.capability}: {row.detail}"]
    (explanation,) = explanations([row])
    cause = explanation.cause
    lines.append(f"{cause.severity.value}: {cause.sentence}")
    if cause.place:
        lines.append(f"at {cause.place}")
    if cause.mending:
        lines += ["mend it so:", *(f"    {line}" for line in cause.mending.splitlines())]
    return [*lines, f"see {cause.page}"]


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of a width; one empty line where there is none."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


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
        "Written by `python -m ansnet capabilities`; not by hand. What each capability asks, why, and "
        "an example of each: [pages](capabilities/README.md). "
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
    lines += [
        f"| [{capability}]({page_of(capability).removeprefix('docs/')}) | {text} |"
        for capability, text in descriptions.items()
    ]
    return "\n".join(lines)
