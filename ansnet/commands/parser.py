"""The parser of every command: one style of flags, and one line about wrong input."""

from __future__ import annotations

import re
import sys
from argparse import Action
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import Any, NoReturn

from jsonargparse import ActionYesNo, ArgumentParser, DefaultHelpFormatter

from ansnet.commands.mistake import LONGEST, shortened
from ansnet.commands.mistake import Mistake as Mistake  # most commands have both from here
from ansnet.commands.terminal import survive_any_terminal

EXPECTED = {
    "PositiveInt": "a whole number above 0",
    "NonNegativeInt": "a whole number, 0 or above",
    "PositiveFloat": "a number above 0",
    "NonNegativeFloat": "a number, 0 or above",
    "ClosedUnitInterval": "a number from 0 to 1",
    "OpenUnitInterval": "a number between 0 and 1",
    "Duration": "days:hours:minutes:seconds, as 00:01:30:00",
}


class HelpFormatter(DefaultHelpFormatter):
    """Says in words what numbers are expected, and nothing of a default that is null or off.

    A text that begins a line of its own keeps its lines.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("\n") else super()._fill_text(text, width, indent)

    def _expand_help(self, action: Action) -> str:
        text: str = super()._expand_help(action)
        described = re.search(r" \((?:type: (.+?))?(?:, )?(?:default: (.+))?\)$", text)
        if described is None or not any(described.groups()):
            return text.removesuffix(" (required)")
        expected, default = EXPECTED.get(described[1]), described[2]
        notes = [expected] if expected else []
        if default not in (None, "null", "False"):
            notes.append(f"default: {default}")
        return text[: described.start()] + (f" ({'; '.join(notes)})" if notes else "")


class OneLineParser(ArgumentParser):
    """Answers bad input with one line that names the flag, and with exit code 2.

    Flags are written in full: abbreviated, one would not be known as given (`options_in`).

    Args:
        prog: the command, as its user writes it.
        **options: see ``jsonargparse.ArgumentParser``.
    """

    def __init__(self, prog: str | None = None, **options: Any) -> None:
        survive_any_terminal()
        super().__init__(
            prog=prog,
            formatter_class=HelpFormatter,
            allow_abbrev=False,
            print_config=None,  # jsonargparse's own, which knows nothing of recipes
            **options,
        )

    def parse_args(  # type: ignore[override]  # as jsonargparse's, which has more than argparse's
        self, args: Sequence[str] | None = None, *rest: Any, **options: Any
    ) -> Any:
        return super().parse_args(self.given(args), *rest, **options)

    def given(self, args: Sequence[str] | None) -> list[str]:
        """The words of the command line, if all of them can be part of one."""
        words = list(sys.argv[1:] if args is None else args)
        for word in words:
            if "\0" in word:
                self.error(f"{shortened(repr(word))}: there is a zero byte in it; leave it out")
        for flag in (word.split("=")[0] for word in takewhile(lambda word: word != "--", words)):
            if flag.startswith("--") and "." in flag:  # jsonargparse would take it for part of a value
                self.error(f"unrecognized arguments: {flag}")
        return words

    def error(self, message: str, exception: Exception | None = None) -> NoReturn:
        from ansnet.training.launcher import is_first_of_node

        if is_first_of_node():  # of several processes, all of which find it
            print(f"{self.prog}: error: {self.one_line(message)}", file=sys.stderr)
        sys.exit(2)

    def one_line(self, message: str) -> str:
        """What jsonargparse says of wrong input, in a line that names the flag."""
        line = " ".join(message.split())
        if key := re.match(r'Parser key "(\w+)": (.*)', line):
            line = f"--{key[1].replace('_', '-')}: {describe_wrong_value(key[2])}"
        elif unknown := re.match(r"unrecognized arguments: (--[^\s=]+)", line, re.IGNORECASE):
            flag = unknown[1]
            line = f"unknown flag {shortened(flag)}; {self.nearest_flag(flag[:LONGEST])}"
        return shortened(line, LONGEST)

    def options_in(self, arguments: Sequence[str]) -> set[str]:
        """Names of the options that a command line gives itself, and not by a file."""
        words = {word.split("=")[0] for word in arguments}
        return {action.dest for action in self._actions if words.intersection(action.option_strings)}

    def nearest_flag(self, unknown: str) -> str:
        flags = [flag for action in self._actions for flag in action.option_strings]
        nearest = get_close_matches(unknown, flags, n=1)
        return f"did you mean {nearest[0]}?" if nearest else f"see {self.prog} --help"


def describe_wrong_value(reason: str) -> str:
    """What jsonargparse says of a number, in words: what was given, and what is expected."""
    number = re.match(r"Not of type (\w+): (?:.*: )?'?(.*?)'?(?: does not .*)?$", reason)
    if number and number[1] in EXPECTED:
        return f"got {number[2]}, expected {EXPECTED[number[1]]}"
    return reason


def add_switch(group: Any, name: str, explanation: str, default: bool | None = None) -> None:
    """Add ``--name`` and ``--no-name``."""
    action = ActionYesNo(yes_prefix="", no_prefix="no-")
    group.add_argument(f"--{name}", action=action, default=default, help=explanation)
