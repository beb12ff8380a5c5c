"""A picture file of any size and format, as the networks take it: a small square of bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

SIZE = 32  # pixels
BACKGROUND = "white"  # of transparent pictures
# how many pixels of a JPEG are read for one of the result: more would not be seen in it
DETAIL = 4


class PictureError(ValueError):
    """A file that is no picture, or a damaged one; the message is one line that names it.

    Attributes:
        reason: the message without the file's name.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


class NoFileError(OSError):
    """A pipe or a device."""


class DepthError(ValueError):
    """Pixels that are numbers of which nobody says what is white."""


def open_picture(path: str | Path, size: int | None = None) -> Image.Image:
    """Read a picture and turn it the right way up.

    It is turned as its EXIF orientation says. Transparent parts become white. Grey and palette become
    red, green and blue; of 16 bits the upper 8 are kept. Of an animation the first picture is taken.

    Args:
        path: of the file, in any format that Pillow reads.
        size: if a square of so many pixels is all that is needed, a large JPEG is read at a half, a
            quarter or an eighth of its size, several times as fast, with at least `DETAIL` pixels for
            each of them.

    Returns:
        The picture, in RGB.

    Raises:
        PictureError: there is no such file, or it is no picture or a damaged one.
    """
    try:
        if Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir():
            raise NoFileError  # a pipe might never end
        with Image.open(path) as image:
            if size is not None:
                image.draft(None, (DETAIL * size, DETAIL * size))
            return as_rgb(ImageOps.exif_transpose(image))
    # A damaged file makes the readers of Pillow raise nearly anything.
    except Exception as error:
        raise PictureError(path, reason(Path(path), error)) from error


def as_rgb(image: Image.Image) -> Image.Image:
    """A picture of any mode in RGB.

    Raises:
        DepthError: its pixels have 32 bits.
    """
    if image.mode == "I" or image.mode.startswith("I;16"):  # Pillow has read 16 bits as either
        upper = np.asarray(image, dtype=np.int32) >> 8
        if upper.min() < 0 or upper.max() > 255:
            raise DepthError("its pixels have 32 bits; save it with 8 or 16")
        image = Image.fromarray(upper.astype(np.uint8))
    if image.mode == "F":
        raise DepthError("its pixels have 32 bits; save it with 8 or 16")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, BACKGROUND)
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def as_bytes(image: Image.Image, size: int = SIZE) -> NDArray[np.uint8]:
    """The square in the middle of a picture, resized without aliasing (bicubic).

    A picture of that size stays as it is, bit for bit.

    Args:
        image: in RGB, see `open_picture`.
        size: height and width of the result, in pixels.

    Returns:
        size × size × 3 bytes.
    """
    square: Image.Image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    return np.array(square, dtype=np.uint8)


def what_else(path: Path) -> str:
    """What a file is of which no reader of Pillow knows anything."""
    if path.suffix.lower() in (".heic", ".heif"):
        return "Pillow reads no HEIC; save it as JPEG or PNG"
    return "this is no picture"


def reason(path: Path, error: Exception) -> str:
    """Why a file could not be read as a picture, and what to do, in a few words."""
    if isinstance(error, DepthError):
        return str(error)
    if isinstance(error, NoFileError):
        return "this is no file"
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError) or path.is_dir():
        return "this is a folder, not a picture"
    if isinstance(error, PermissionError):
        return "it may not be read"
    if path.stat().st_size == 0:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return what_else(path)
    if isinstance(error, Image.DecompressionBombError):
        return "it has too many pixels; save it smaller"
    words = " ".join(str(error).split()) or type(error).__name__
    return f"the picture is damaged: {words}"
