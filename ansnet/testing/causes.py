"""Why rows fail: one sentence a cause, how bad it is, where, and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from ansnet.testing.case import NO_GRAPH

if TYPE_CHECKING:
    from ansnet.testing.report import Row


LONGEST = 5  # lines of a mending


class Severity(Enum):
    """How bad a cause is, the worst first."""

    WRONG = "wrong numbers"
    RAISES = "raises"
    NEEDLESS = "needless work"
    OUTDATED = "out of date"  # what was expected to fail does not

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Cause:
    """Why a row fails.

    Attributes:
        key: rows of the same key have the same cause.
        sentence: the cause in plain words.
        severity: how bad it is.
        mending: code that mends it, a line or two; "" where none is known.
        place: ``file:line`` of what is to be changed; "" where it is not known.
        page: of the documentation, from the repository's root.
        tried: whether the row was seen to pass with it mended so.
    """

    key: str
    sentence: str
    severity: Severity
    mending: str = ""
    place: str = ""
    page: str = ""
    tried: bool = False


@dataclass(frozen=True)
class Explanation:
    """A cause, and the rows that fail of it."""

    cause: Cause
    rows: tuple[Row, ...]

    @property
    def capabilities(self) -> list[str]:
        """The rows' names."""
        return [row.capability for row in self.rows]


def page_of(capability: str) -> str:
    """The page of the documentation about a capability, from the repository's root."""
    return f"docs/capabilities/{capability.replace(' ', '-')}.md"


def explanations(rows: Iterable[Row]) -> list[Explanation]:
    """The rows by their causes, the worst first.

    A row without a cause, such as one in which the process died, has its own.
    """
    groups: dict[str, list[tuple[Cause, Row]]] = {}
    for row in rows:
        cause = row.cause or cause_of_detail(row.capability, row.detail)
        groups.setdefault(cause.key, []).append((cause, row))
    found = [
        Explanation(merged([cause for cause, _ in group]), tuple(row for _, row in group))
        for group in groups.values()
    ]
    return sorted(found, key=lambda explanation: explanation.cause.severity.rank)  # else as they came


def merged(causes: Sequence[Cause]) -> Cause:
    """The causes of one key as one: the worst severity, and all that mends it, what was tried first."""
    first = next((cause for cause in causes if cause.tried), causes[0])
    lines = [line for cause in (first, *causes) for line in cause.mending.splitlines()]
    return replace(
        first,
        severity=min((cause.severity for cause in causes), key=lambda severity: severity.rank),
        mending="\n".join(list(dict.fromkeys(lines))[:LONGEST]),
    )


# What a row of these finds costs time and memory; no number is wrong, and nothing raises.
COSTLY = {
    "needless work",
    "saved tensors freed",
    "saved tensor hooks",
    "no memory growth",
    "gradient dtypes",
}
EXPECTED = "expected to fail ("
DIED = re.compile(r"the process (died of|ended with)")
LATE = re.compile(r"not done after (\S+) s")


def severity_of(capability: str, message: str, compared: bool) -> Severity:
    """How bad a failure is, as far as its row can tell.

    Args:
        capability: the row's name.
        message: of the error.
        compared: whether two things were compared, and differ; not whether something was raised.
    """
    if not compared:
        return Severity.RAISES
    layout_or_cast = "is not in channels-last memory" in message or re.search(
        r"^(output|gradient) is torch\.\w+, expected|returns a gradient of torch", message
    )
    graph = message.startswith("an output requires grad")
    costly = capability in COSTLY or layout_or_cast or graph
    return Severity.NEEDLESS if costly else Severity.WRONG


def cause_of_detail(capability: str, detail: str, place: str = "") -> Cause:
    """What the detail of a row says by itself; nothing is made of it that it does not say."""
    page = page_of(capability)
    if DIED.match(detail):
        sentence = f"The interpreter does not survive it: {detail}."
        return Cause(f"died: {detail}", sentence, Severity.RAISES, "", place, page)
    if detail.startswith(EXPECTED):
        sentence = f"{detail[0].upper()}{detail[1:]}."
        return Cause(f"{capability}: {detail}", sentence, Severity.OUTDATED, "", place, page)
    if late := LATE.match(detail):
        sentence = f"It takes longer than the {late[1]} s that a row may take."
        code = f"check(…, timeout={2 * float(late[1]):g})  # or smaller samples"
        return Cause("late", sentence, Severity.RAISES, code, place, page)
    message = re.sub(r"^sample \d+ \(.*?\): ", "", detail)
    compared = not re.match(r"\w*(Error|Exception|Unsupported)\b", message) or message.startswith(
        "GradcheckError"
    )
    return general(capability, message, severity_of(capability, message, compared), place)


def general(capability: str, message: str, severity: Severity, place: str = "") -> Cause:
    """A cause of which nothing is known but the message."""
    sentence, shared = _told(capability, message)
    key = sentence if shared else f"{capability}: {sentence}"
    return Cause(f"{key} {place}", sentence, severity, "", place, page_of(capability))


def _told(capability: str, message: str) -> tuple[str, bool]:
    """The message as a sentence, and whether rows that say the same have the same cause."""
    if seen := re.match(r"(.*? at index \(.*\), expected \S+)\. Tensor-likes", message):
        return f"{_capital(seen[1])}.", False
    if mismatch := re.match(r"(.*?): Tensor-likes are not (?:close|equal)", message):
        difference = re.search(r"Greatest absolute difference: (\S+)", message)
        by = f" by up to {_rounded(difference[1])}" if difference and difference[1] != "nan" else ""
        return f"{_capital(mismatch[1])} differs{by} from what it should be.", False
    if jacobian := re.search(
        r"Jacobian mismatch for output (\d+) with respect to input (\d+)", message
    ):
        kind = "second derivative" if capability == "gradgradcheck" else "derivative"
        which = f"output {jacobian[1]} by input {jacobian[2]}"
        return f"The {kind} of {which} is not the numerical one.", False
    if message == NO_GRAPH:
        return f"{_capital(message)}.", True
    text = message if len(message) <= 200 else f"{message[:200]} …"
    return f"{_capital(text)}{'' if text.endswith(('.', '…')) else '.'}", "Error" in text


def _capital(text: str) -> str:
    """With a capital, unless it begins with a name of code."""
    word = text.split(" ", 1)[0]
    return text if re.search(r"[_.A-Z]|^-?(nan|inf)$", word) else text[:1].upper() + text[1:]


def _rounded(number: str) -> str:
    try:
        return f"{float(number):.3g}"
    except ValueError:
        return number
