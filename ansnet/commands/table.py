"""Rows of words as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], left: int) -> str:
    """Lines of columns, two blanks apart.

    Args:
        rows: as many words in each; the first may be a header.
        left: so many columns are flush left, the others right.

    Example:
        >>> print(table([["name", "size"], ["a", "10"]], left=1))
        name  size
        a       10
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        padded = [
            f"{cell:<{width}}" if number < left else f"{cell:>{width}}"
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)
