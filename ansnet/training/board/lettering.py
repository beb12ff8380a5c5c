"""Words in pictures, drawn by Pillow: some hundred times as quick as a figure of matplotlib's."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

Pixels = NDArray[np.uint8]  # H × W × 3

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (20, 20, 20)
GREY: Colour = (110, 110, 110)
RED: Colour = (190, 30, 30)


@cache
def font(size: int) -> FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, and has the letters of most languages."""
    import matplotlib as mpl
    from PIL import ImageFont

    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


def one_line(text: str) -> str:
    """With spaces for line breaks, which a name may have."""
    return " ".join(text.split())


def width(text: str, size: int) -> int:
    """Of a line, in pixels."""
    return round(font(size).getlength(one_line(text)))


def shortened(text: str, size: int, pixels: int) -> str:
    """The text, or as much of its beginning as fits, with ``…`` at its end."""
    text = one_line(text)
    if width(text, size) <= pixels:
        return text
    while text and width(text + "…", size) > pixels:
        text = text[:-1]
    return text + "…"


def upright(text: str, size: int) -> Image:
    """A line that reads from below to above, black on white."""
    from PIL import Image, ImageDraw

    line = Image.new("RGB", (width(text, size) + 2, size + 3), WHITE)
    ImageDraw.Draw(line).text((0, 0), one_line(text), BLACK, font(size))
    return line.transpose(Image.Transpose.ROTATE_90)
