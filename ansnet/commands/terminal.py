"""What a terminal is shown that has not all characters: plain ones that say the same."""

from __future__ import annotations

import codecs
import sys
from io import TextIOWrapper

PLAIN = {
    "–": "-",
    "—": "-",
    "−": "-",
    "±": "+/-",
    "×": "x",
    "·": ".",
    "…": "...",
    "→": "->",
    "≈": "~",
    "≤": "<=",
    "≥": ">=",
    "Σ": "sum",
    "μ": "u",
    "µ": "u",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "█": "#",
}
HANDLER = "ansnet.plain"


def plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Stand in for a character that cannot be encoded: see `codecs.register_error`.

    Bytes of a file's name that are no characters (PEP 383) are shown as they are; what has no plain
    form is a question mark.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return PLAIN.get(character, "?"), error.start + 1


def survive_any_terminal() -> None:
    """Have whatever is printed from now on end in no ``UnicodeEncodeError``, and be there at once."""
    codecs.register_error(HANDLER, plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # and not what a test or a notebook has put there
            # line by line, also into a pipe or a file, where somebody may be waiting for the next one
            stream.reconfigure(errors=HANDLER, line_buffering=True)


def can_show(text: str) -> bool:
    """Whether all of a text can be printed as it is."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
