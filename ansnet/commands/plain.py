"""The parser of the commands that need torch alone: argparse, with one line about wrong input."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from difflib import get_close_matches
from math import isfinite
from typing import Any, NoReturn

from ansnet.commands.completion import ASKED
from ansnet.commands.mistake import LONGEST, shortened
from ansnet.commands.terminal import survive_any_terminal

LONGEST_WAIT = 1_000_000  # seconds, as in ansnet.testing.settings


class PlainParser(ArgumentParser):
    """Answers wrong input with one line that names the flag, and with exit code 2.

    Args:
        prog: the command, as its user writes it.
        **options: see `argparse.ArgumentParser`.
    """

    def __init__(self, prog: str, **options: Any) -> None:
        survive_any_terminal()
        super().__init__(
            prog=prog, formatter_class=RawDescriptionHelpFormatter, allow_abbrev=False, **options
        )

    def parse_args(  # type: ignore[override]  # argparse's has more arguments
        self, args: Sequence[str] | None = None
    ) -> Namespace:
        """What the command line says; or an answer to the shell, if it is the shell that asks."""
        if ASKED in os.environ:
            import argcomplete

            argcomplete.autocomplete(self, always_complete_options=False)
        parsed, unknown = self.parse_known_args(args)
        if unknown:
            self.error(
                f"unknown argument {shortened(unknown[0])}; {self._nearest(unknown[0][:LONGEST])}"
            )
        return parsed

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.split())
        print(f"{self.prog}: error: {shortened(line, LONGEST)}", file=sys.stderr)
        sys.exit(2)

    def _nearest(self, unknown: str) -> str:
        flags = [flag for action in self._actions for flag in action.option_strings]
        nearest = get_close_matches(unknown.partition("=")[0], flags, n=1)
        return f"did you mean {nearest[0]}?" if nearest else f"see {self.prog} --help"


def seconds(text: str) -> float:
    """A number above 0, of a million at most."""
    number = _number(text, above=True)
    if number > LONGEST_WAIT:
        raise ArgumentTypeError(f"got {shortened(text)!r}, expected {LONGEST_WAIT} at most")
    return number


def tolerance(text: str) -> float:
    """A number, 0 or above."""
    return _number(text, above=False)


def whole_number(text: str) -> int:
    """A whole number from 0 to 2**63 - 1."""
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else None
    if digits is None:
        raise ArgumentTypeError(f"got {shortened(text)!r}, expected a whole number, 0 or above")
    if len(digits) > 19 or int(digits or 0) >= 2**63:
        raise ArgumentTypeError(f"got {shortened(text)!r}, expected a whole number below 2**63")
    return int(digits or 0)


def _number(text: str, above: bool) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not isfinite(number) or number < 0 or (above and number == 0):
        expected = "a number above 0" if above else "a number, 0 or above"
        raise ArgumentTypeError(f"got {shortened(text)!r}, expected {expected}")
    return number
