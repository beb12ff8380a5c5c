"""`ansnet.data.picture`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ansnet.data.picture import PictureError, as_bytes, open_picture

ORIENTATION = 274  # the number of the tag in EXIF


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8)


def four_corners(height: int, width: int) -> Image.Image:
    """Red, green, blue and white quarters, in the order of reading."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2, 0] = 255
    pixels[: height // 2, width // 2 :, 1] = 255
    pixels[height // 2 :, : width // 2, 2] = 255
    pixels[height // 2 :, width // 2 :] = 255
    return Image.fromarray(pixels)


def test_a_picture_of_the_size_is_kept_bit_for_bit(tmp_path: Path) -> None:
    pixels = noise(32, 32)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    read = as_bytes(open_picture(tmp_path / "a.png"))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 200), (31, 33), (64, 64), (301, 97)])
def test_any_size_becomes_a_square(height: int, width: int) -> None:
    assert as_bytes(Image.fromarray(noise(height, width))).shape == (32, 32, 3)


def test_the_square_is_the_middle_and_not_squeezed() -> None:
    pixels = np.zeros((64, 192, 3), np.uint8)
    pixels[:, 64:128] = 255
    read = as_bytes(Image.fromarray(pixels))
    np.testing.assert_array_equal(read[:, 2:-2], 255)  # beside the border the black shines through
    assert read.min() > 128


def test_fine_stripes_become_grey_and_not_other_stripes() -> None:
    stripes = np.zeros((320, 320, 3), np.uint8)
    stripes[:, ::2] = 255
    inside = as_bytes(Image.fromarray(stripes))[:, 2:-2].astype(int)
    assert abs(inside - 128).max() <= 3  # every other pixel alone would be 0 or 255


@pytest.mark.parametrize(
    ("orientation", "first"),
    [(1, (255, 0, 0)), (3, (255, 255, 255)), (6, (0, 0, 255)), (8, (0, 255, 0)), (2, (0, 255, 0))],
)
def test_a_photo_is_turned_as_its_camera_says(
    tmp_path: Path, orientation: int, first: tuple[int, int, int]
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    four_corners(40, 60).save(tmp_path / "a.png", exif=exif)
    read = open_picture(tmp_path / "a.png")
    assert read.getpixel((0, 0)) == first
    assert read.size == ((40, 60) if orientation in (6, 8) else (60, 40))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_what_is_transparent_becomes_white(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (8, 8), (0, 0) if mode == "LA" else (0, 0, 0, 0)).save(tmp_path / "a.png")
    assert open_picture(tmp_path / "a.png").getpixel((0, 0)) == (255, 255, 255)
    Image.new("RGBA", (8, 8), (0, 0, 0, 51)).save(tmp_path / "b.png")
    assert open_picture(tmp_path / "b.png").getpixel((0, 0)) == (204, 204, 204)  # 4/5 of 255


def test_a_transparent_colour_of_a_palette_becomes_white(tmp_path: Path) -> None:
    picture = four_corners(8, 8).quantize(4)
    picture.save(tmp_path / "a.gif", transparency=picture.getpixel((0, 0)))
    read = open_picture(tmp_path / "a.gif")
    assert read.getpixel((0, 0)) == (255, 255, 255)
    assert read.getpixel((7, 0)) == (0, 255, 0)


def test_grey_of_8_and_of_16_bits_is_the_same_grey(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    for name in ("8.png", "16.png"):
        read = np.asarray(open_picture(tmp_path / name))
        np.testing.assert_array_equal(read, grey[..., None].repeat(3, 2))


def test_of_an_animation_the_first_picture_is_taken(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:])
    assert open_picture(tmp_path / "a.gif").getpixel((0, 0)) == (255, 0, 0)


def test_a_large_jpeg_is_read_smaller_and_looks_the_same(tmp_path: Path) -> None:
    small = Image.fromarray(noise(24, 18))
    small.resize((900, 1200)).save(tmp_path / "a.jpg")
    whole, reduced = open_picture(tmp_path / "a.jpg"), open_picture(tmp_path / "a.jpg", size=32)
    assert whole.size == (900, 1200)
    assert 128 <= min(reduced.size) < 256
    # off by the rounding of two reductions
    assert abs(as_bytes(whole).astype(int) - as_bytes(reduced)).max() <= 3


def damaged(name: str) -> bytes:
    if name == "empty.png":
        return b""
    if name in ("words.jpg", "photo.heic"):
        return b"these are words"
    return b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty.png", "the file is empty"),
        ("words.jpg", "this is no picture"),
        ("photo.heic", "save it as JPEG or PNG"),
        ("broken.png", "broken PNG|no picture|damaged"),
        ("missing.png", "there is no such file"),
        ("folder", "this is a folder"),
        ("half.jpg", "damaged"),
        ("float.tif", "its pixels have 32 bits"),
    ],
)
def test_wrong_files_are_told_apart_in_one_line(tmp_path: Path, name: str, reason: str) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif name == "half.jpg":
        Image.fromarray(noise(64, 64)).save(path)
        path.write_bytes(path.read_bytes()[:1500])
    elif name == "float.tif":
        Image.new("F", (4, 4)).save(path)
    elif name != "missing.png":
        path.write_bytes(damaged(name))
    with pytest.raises(PictureError, match=reason) as error:
        open_picture(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
