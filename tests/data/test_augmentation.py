"""`ansnet.data.augmentation`, against torchvision's transforms and against chance."""

from __future__ import annotations

import pytest
import torch
import torchvision.transforms.functional as TF
from PIL import Image
from torch import Tensor

from ansnet.data.augmentation import (
    BORDER,
    MEAN,
    STD,
    Augmentation,
    Draws,
    Normalisation,
    augment,
    draw,
)

CPU = torch.device("cpu")
DRAWN = 100_000


BORDERS = {"black": ("constant", 0), "reflect": ("reflect", None)}


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("N", "H", "W"), [(162, 32, 32), (7, 5, 9), (0, 32, 32)])
def test_a_batch_is_what_torchvision_makes_of_each_image(N: int, H: int, W: int, border: str) -> None:
    pixels = torch.randint(256, (N, H, W, 3), dtype=torch.uint8)
    n = torch.arange(N)
    drawn = Draws(n % 2 == 1, n // 2 % 9, n // 18 % 9, n, n)  # all 162 flips and crops
    images = augment(pixels, Augmentation(border=border), drawn)
    images = Normalisation(H, W, CPU)(images).permute(0, 3, 1, 2)
    assert images.shape == (N, 3, H, W)
    mode, fill = BORDERS[border]
    for image, original, flip, top, left in zip(images, pixels, *drawn[:3], strict=True):
        picture = Image.fromarray(original.numpy())
        if flip:
            picture = TF.hflip(picture)
        picture = TF.pad(picture, BORDER, fill or 0, mode)
        expected = TF.normalize(TF.to_tensor(TF.crop(picture, int(top), int(left), H, W)), MEAN, STD)
        # float32's rounding: another order of the same division, subtraction and multiplication
        torch.testing.assert_close(image, expected, rtol=0, atol=1e-6)


def test_black_and_white_become_numbers_by_imagenets_mean_and_deviation() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(-1, 2, 3, 3)
    expected = torch.tensor([[-2.1179, -2.0357, -1.8044], [2.2489, 2.4286, 2.6400]])
    normalised = Normalisation(2, 3, CPU)(images)
    for row, column in ((0, 0), (1, 2)):
        # four places are given
        torch.testing.assert_close(normalised[:, row, column], expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize("border", BORDERS)
def test_an_image_of_one_pixel_has_a_border(border: str) -> None:
    image = torch.full((1, 1, 1, 3), 7, dtype=torch.uint8)
    middle = torch.tensor([BORDER])
    drawn = Draws(torch.tensor([True]), middle, middle, middle, middle)
    assert torch.equal(augment(image, Augmentation(border=border), drawn), image)
    crop = augment(image, Augmentation(border=border), drawn._replace(top=middle - 1))
    assert crop.unique().tolist() == ([0] if border == "black" else [7])


@pytest.mark.parametrize(("cutout", "H", "W"), [(8, 32, 32), (1, 5, 9), (5, 5, 9), (40, 32, 32)])
def test_the_square_is_painted_in_the_mean_colour(cutout: int, H: int, W: int) -> None:
    N = 200
    pixels = torch.full((N, H, W, 3), 255, dtype=torch.uint8)
    drawn = draw(pixels.shape, Augmentation(cutout=cutout), torch.Generator().manual_seed(0))
    crop = torch.full((N,), BORDER)
    images = augment(pixels, Augmentation(cutout=cutout), drawn._replace(top=crop, left=crop))
    normalised = Normalisation(H, W, CPU)(images)
    holes = (images != 255).any(-1)
    # half of 1/255 is what rounding to bytes leaves, divided by the deviations
    assert normalised[holes].abs().max() < 0.5 / 255 / min(STD)
    height, width = min(cutout, H), min(cutout, W)
    for hole, top, left in zip(holes, drawn.hole_top, drawn.hole_left, strict=True):
        rows, columns = torch.where(hole)
        assert (int(rows.min()), int(columns.min())) == (int(top), int(left))
        assert (int(rows.max()), int(columns.max())) == (int(top) + height - 1, int(left) + width - 1)
        assert hole.sum() == height * width


@pytest.mark.cuda
def test_on_cuda_the_same_is_made_of_the_same_draws() -> None:
    augmentation = Augmentation(border="reflect", cutout=8)
    pixels = torch.randint(256, (50, 32, 32, 3), dtype=torch.uint8)
    drawn = draw(pixels.shape, augmentation, torch.Generator().manual_seed(0))
    images = augment(pixels.cuda(), augmentation, Draws(*(variable.cuda() for variable in drawn)))
    assert torch.equal(images.cpu(), augment(pixels, augmentation, drawn))


def test_nothing_is_painted_without_cutout() -> None:
    pixels = torch.randint(256, (50, 8, 8, 3), dtype=torch.uint8)
    drawn = draw(pixels.shape, Augmentation(), torch.Generator().manual_seed(0))
    crop = torch.full((50,), BORDER)
    images = augment(pixels, Augmentation(), drawn._replace(top=crop, left=crop))
    assert torch.equal(images, torch.where(drawn.flip[:, None, None, None], pixels.flip(2), pixels))


@pytest.fixture(scope="module")
def draws() -> Draws:
    generator = torch.Generator().manual_seed(0)
    drawn = [draw((100, 32, 32, 3), Augmentation(cutout=24), generator) for _ in range(DRAWN // 100)]
    return Draws(*(torch.cat(variable) for variable in zip(*drawn, strict=True)))


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


def test_half_of_the_images_are_flipped(draws: Draws) -> None:
    # binomial, 50,000 ± 158: five standard deviations, missed by chance once in 1.7 million
    assert abs(int(draws.flip.sum()) - DRAWN / 2) < 790


def test_each_of_the_81_crops_is_equally_likely_and_each_of_the_81_places(draws: Draws) -> None:
    # 80 degrees of freedom: 80 ± 12.6; above 157 once in 1.6 million
    assert chi_square((draws.top, 9), (draws.left, 9)) < 157
    assert chi_square((draws.hole_top, 9), (draws.hole_left, 9)) < 157


def test_flip_and_crop_and_place_are_independent(draws: Draws) -> None:
    # 161 degrees of freedom: 161 ± 17.9; above 262 once in 1.2 million
    assert chi_square((draws.flip, 2), (draws.top, 9), (draws.left, 9)) < 262
    assert chi_square((draws.flip, 2), (draws.hole_top, 9), (draws.hole_left, 9)) < 262
    for crop in (draws.top, draws.left):
        for place in (draws.hole_top, draws.hole_left):
            assert chi_square((crop, 9), (place, 9)) < 157


def test_an_image_is_drawn_for_without_regard_to_the_one_before(draws: Draws) -> None:
    for variable, values in zip(draws, (2, 9, 9, 9, 9), strict=True):
        bound = 32 if values == 2 else 157
        # pairs that have no image in common: 3 degrees of freedom, above 32 once in 1.9 million, or 80
        assert chi_square((variable[::2], values), (variable[1::2], values)) < bound
