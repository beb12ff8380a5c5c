"""What is said of wrong input, in one line; for every command, those too that need torch alone."""

from __future__ import annotations

import os

LONGEST = 600  # characters of a line about what is wrong


class Mistake(ValueError):
    """What the user gave is wrong; the message says what, what was expected, and what to do."""


def told(error: OSError) -> str:
    """What is said of a file that cannot be read or written, in one line."""
    line = f"{os.fsdecode(error.filename or 'a file')}: {error.strerror or error}; name another"
    return " ".join(line.split())


def shortened(text: str, longest: int = 80) -> str:
    """A text of at most so many characters: its beginning, and where it had more its end."""
    if len(text) <= longest:
        return text
    return f"{text[: longest // 2]}…{text[-(longest // 2 - 1) :]}"
