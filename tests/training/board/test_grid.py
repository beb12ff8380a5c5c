"""`ansnet.training.board.grid`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ansnet.data.augmentation import MEAN, STD, Normalisation
from ansnet.training.board.grid import GAP, TITLE, as_seen, grid
from ansnet.training.board.lettering import RED, WHITE, Colour

NORMALISATION = {"mean": MEAN, "std": STD}
TOP = TITLE + 2 * GAP


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_normalisation_is_undone_to_the_byte(
    dtype: torch.dtype, layout: torch.memory_format
) -> None:
    pixels = torch.randint(256, (5, 7, 4, 3), dtype=torch.uint8)
    seen = Normalisation(7, 4, torch.device("cpu"))(pixels).permute(0, 3, 1, 2)
    shown = as_seen(seen.to(dtype).contiguous(memory_format=layout), NORMALISATION)
    assert np.array_equal(shown, pixels.numpy())


def test_without_a_normalisation_the_lowest_is_black_and_the_highest_white() -> None:
    shown = as_seen(torch.tensor([-3.0, 1.0, 5.0]).view(1, 1, 1, 3), None)
    assert shown.tolist() == [[[[0] * 3, [128] * 3, [255] * 3]]]
    assert as_seen(torch.ones(2, 1, 3, 3), NORMALISATION).max() == 0  # of other channels; flat


def test_each_image_lies_in_its_place_enlarged_by_a_whole_number() -> None:
    images = np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), np.uint8)
    picture = grid(images, [], "five", columns=3)
    for i, image in enumerate(images):
        left, upper = GAP + i % 3 * (96 + GAP), TOP + i // 3 * (96 + GAP)
        place = picture[upper : upper + 96, left : left + 96]
        assert np.array_equal(place, image.repeat(3, 0).repeat(3, 1))


@pytest.mark.parametrize(
    ("shape", "shown"), [((1, 1), (96, 96)), ((5, 3), (95, 57)), ((300, 150), (96, 48))]
)
def test_images_of_any_size_fit(shape: tuple[int, int], shown: tuple[int, int]) -> None:
    picture = grid(np.zeros((1, *shape, 3), np.uint8), [], "")
    rows, columns = (picture == 0).all(2).nonzero()
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == shown


def test_a_caption_is_below_its_image_in_its_colour() -> None:
    red: tuple[str, Colour] = ("wrong", RED)
    white: tuple[str, Colour] = ("unseen", WHITE)
    picture = grid(np.zeros((2, 32, 32, 3), np.uint8), [[red], [white]], "")
    is_red = (picture[..., 0] > 150) & (picture[..., 1] < 120)
    rows, columns = is_red.nonzero()
    assert rows.min() > TOP + 96
    assert columns.max() < GAP + 96
