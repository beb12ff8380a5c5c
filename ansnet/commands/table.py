"""Rows of words as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal


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


def percent(share: float, deviation: float | None = None) -> str:
    """A share in per cent, to two digits, with its deviation if there is one.

    Half a digit is rounded up. Shares of 10,000 images have two digits, and the mean of two has a half
    often; in float32 it may lie on either side.

    Example:
        >>> percent(0.90335), percent(0.81725, 0.0022)
        ('90.34', '81.73 ± 0.22')
    """
    exact = Decimal(repr(round(100 * share, 4)))
    rounded = str(exact.quantize(Decimal("0.01"), ROUND_HALF_UP))
    return rounded if deviation is None else f"{rounded} ± {100 * deviation:.2f}"
