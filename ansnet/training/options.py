"""What an option of a training is: declared once, beside the setting that it gives.

The command line is made from the declarations (`ansnet.commands.train`), and so is what is checked of
options that need each other, and of a checkpoint that is resumed. This module loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, dataclass, field
from typing import Any, NamedTuple


class Need(NamedTuple):
    """An option that does something only while another one has such a value, as ``remedy``."""

    other: str
    is_met: Callable[[Any], bool]
    remedy: Any


@dataclass(frozen=True)
class Option:
    """What is declared of an option besides its name and its default.

    Attributes:
        group: under which ``--help`` shows it.
        explanation: a line of ``--help``.
        choices: the words that it may be; none if it is no choice.
        kind: a type of ``jsonargparse.typing`` that says which numbers it may be, or another type; None
            is any text.
        needs: without which it has no effect.
        suggested: what a shell completes it to, where it may be something else too.
        fixed: whether a run that goes on from a checkpoint has to go on with the same.
        aside: whether a training is the same with any value, so that no word is lost about another one
            when it goes on.
        metavar: what stands for its value in ``--help``.
        alone: what it is if the option is given without a value; None if it needs one.
    """

    group: str
    explanation: str
    choices: Sequence[str] = ()
    kind: Any = None
    needs: Sequence[Need] = ()
    suggested: Sequence[str] = ()
    fixed: bool = False
    aside: bool = False
    metavar: str | None = None
    alone: str | None = None


def option(group: str, explanation: str, default: Any = MISSING, **about: Any) -> Any:
    """A dataclass's field that is an option; ``about`` is of `Option`."""
    return field(default=default, metadata={"option": Option(group, explanation, **about)})


def declared(setting: Field[Any]) -> Option:
    """What is declared of a field."""
    found: Option = setting.metadata["option"]
    return found


def flag(name: str, value: Any) -> str:
    """An option as the command line gives it; None stands for any value."""
    words = name.replace("_", "-")
    if value is None:
        return f"--{words}"
    if isinstance(value, bool):
        return f"--{words}" if value else f"--no-{words}"
    return f"--{words} {value}"
