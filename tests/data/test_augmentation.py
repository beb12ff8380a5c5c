"""`ansnet.data.augmentation`, against torchvision's transforms and against chance."""

from __future__ import annotations

import pytest
import torch
import torchvision.transforms.functional as TF
from PIL import Image
from torch import Tensor

from ansnet.data.augmentation import BORDER, MEAN, STD, Normalisation, augment, draw_augmentation

CPU = torch.device("cpu")
DRAWN = 100_000


@pytest.mark.parametrize(("N", "H", "W"), [(162, 32, 32), (7, 5, 9), (1, 1, 1), (0, 32, 32)])
def test_a_batch_is_what_torchvision_makes_of_each_image(N: int, H: int, W: int) -> None:
    pixels = torch.randint(256, (N, H, W, 3), dtype=torch.uint8)
    n = torch.arange(N)
    flip, top, left = n % 2 == 1, n // 2 % 9, n // 18 % 9  # all 162 of them
    images = Normalisation(H, W, CPU)(augment(pixels, flip, top, left)).permute(0, 3, 1, 2)
    assert images.shape == (N, 3, H, W)
    for image, original, *drawn in zip(images, pixels, flip, top, left, strict=True):
        picture = Image.fromarray(original.numpy())
        if drawn[0]:
            picture = TF.hflip(picture)
        picture = TF.crop(TF.pad(picture, BORDER), int(drawn[1]), int(drawn[2]), H, W)
        expected = TF.normalize(TF.to_tensor(picture), MEAN, STD)
        # float32's rounding: another order of the same division, subtraction and multiplication
        torch.testing.assert_close(image, expected, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def draws() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    flip, *places = zip(*(draw_augmentation(100, generator) for _ in range(DRAWN // 100)), strict=True)
    top, left = (torch.cat(place) for place in places)
    return torch.cat(flip), top, left


def chi_square(*counted: tuple[Tensor, int]) -> float:
    """How far the counts of all combinations are from equal ones, of variables and their values."""
    combination = torch.zeros_like(counted[0][0], dtype=torch.int64)
    cells = 1
    for variable, values in counted:
        combination = values * combination + variable
        cells *= values
    counts = combination.bincount(minlength=cells)
    assert len(counts) == cells
    expected = len(combination) / cells
    return float((counts - expected).square().sum() / expected)


def test_half_of_the_images_are_flipped(draws: tuple[Tensor, Tensor, Tensor]) -> None:
    # binomial, 50,000 ± 158: five standard deviations, missed by chance once in 1.7 million
    assert abs(int(draws[0].sum()) - DRAWN / 2) < 790


def test_each_of_the_81_crops_is_equally_likely(draws: tuple[Tensor, Tensor, Tensor]) -> None:
    _, top, left = draws
    # 80 degrees of freedom: 80 ± 12.6; above 157 once in 1.6 million
    assert chi_square((top, 9), (left, 9)) < 157


def test_flip_and_place_are_independent(draws: tuple[Tensor, Tensor, Tensor]) -> None:
    flip, top, left = draws
    # 161 degrees of freedom: 161 ± 17.9; above 262 once in 1.2 million
    assert chi_square((flip, 2), (top, 9), (left, 9)) < 262


def test_an_image_is_drawn_for_without_regard_to_the_one_before(
    draws: tuple[Tensor, Tensor, Tensor],
) -> None:
    flip, top, left = draws
    for variable, values, bound in ((flip, 2, 32), (top, 9, 157), (left, 9, 157)):
        # pairs that have no image in common: 3 degrees of freedom, above 32 once in 1.9 million, or 80
        assert chi_square((variable[::2], values), (variable[1::2], values)) < bound
