"""The picture of what is taken for what: the confusion matrix, and beside it the accuracy by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ansnet.training.board.lettering import (
    BLACK,
    GREY,
    WHITE,
    Pixels,
    font,
    shortened,
    upright,
    width,
)

NUMBERED = 20  # classes up to which each cell shows its number of images
RIGHT, WRONG = (31, 119, 180), (214, 39, 40)  # colour of a cell in which all images of a class are
TITLE, GAP, BAR = 15, 8, 110
LONGEST_NAME = 150  # pixels


def accuracy_by_class(counts: NDArray[Any]) -> NDArray[np.float64]:
    """The share of each class's images that were taken for it; not a number where it has none.

    Args:
        counts: C × C, how many images of each class (row) were taken for each (column).

    Returns:
        C shares.
    """
    with np.errstate(invalid="ignore"):
        shares: NDArray[np.float64] = counts.diagonal() / counts.sum(1)
    return shares


def confusion_picture(counts: NDArray[Any], names: Sequence[str], title: str) -> Pixels:
    """Draw the confusion matrix, with names at both sides, and the accuracy of each class as a bar.

    The colour of a cell is the square root of its share of the row, so that a few mistakes are seen
    too: blue what is right, red what is wrong.

    Args:
        counts: C × C, how many images of each class (row) were taken for each (column).
        names: of the C classes.
        title: above all.

    Returns:
        The picture, H × W × 3.
    """
    from PIL import Image, ImageDraw

    classes = len(counts)
    numbered = classes <= NUMBERED
    cell, size = (46, 13) if numbered else (12, 10)
    names = [shortened(name, size, LONGEST_NAME) for name in names]
    beside = max(width(name, size) for name in names) + 2 * GAP
    left, top = TITLE + 2 * GAP + beside, 3 * TITLE + 3 * GAP + beside
    end = classes * cell
    note_width = max(width(title, TITLE), left + end + 2 * GAP + BAR + 60)
    picture = Image.new("RGB", (note_width + GAP, top + end + GAP), WHITE)
    draw = ImageDraw.Draw(picture)
    draw.text((GAP, GAP // 2), title, BLACK, font(TITLE))
    draw.text((left, TITLE + 2 * GAP), "taken for", GREY, font(TITLE))
    picture.paste(upright("class", TITLE), (GAP // 2, top + end // 2 - 20))
    draw.text((left + end + GAP, top - TITLE - GAP), "accuracy", GREY, font(TITLE))
    shares, right = shares_of_rows(counts), accuracy_by_class(counts)
    for i, name in enumerate(names):
        edge, middle = i * cell, i * cell + cell // 2
        draw.text((left - GAP, top + middle), name, BLACK, font(size), anchor="rm")
        label = upright(name, size)
        picture.paste(label, (left + middle - label.width // 2, top - GAP // 2 - label.height))
        for j in range(classes):
            corner = (left + j * cell, top + edge)
            colour = tint(RIGHT if i == j else WRONG, shares[i, j])
            draw.rectangle((*corner, corner[0] + cell - 2, corner[1] + cell - 2), colour)
            if numbered and counts[i, j]:
                shade = WHITE if shares[i, j] > 0.3 else BLACK
                centre = (corner[0] + cell // 2 - 1, corner[1] + cell // 2)
                draw.text(centre, str(int(counts[i, j])), shade, font(size), anchor="mm")
        bar = left + end + GAP
        if np.isfinite(right[i]):
            share = float(right[i])
            box = (bar, top + edge + 1, bar + round(BAR * share), top + edge + cell - 3)
            draw.rectangle(box, tint(RIGHT, 0.6))
            text = f"{share:.1%}" if numbered else f"{share:.0%}"
            draw.text((bar + BAR + GAP, top + middle), text, BLACK, font(size), anchor="lm")
    return np.asarray(picture)


def shares_of_rows(counts: NDArray[Any]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    return shares


def tint(colour: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    """From almost white, for none, to the colour, for all."""
    strength = float(share) ** 0.5
    red, green, blue = (round(244 + (full - 244) * strength) for full in colour)
    return red, green, blue
