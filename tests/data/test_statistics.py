"""`ansnet.data.statistics`."""

from __future__ import annotations

import pytest
import torch

from ansnet.data.statistics import LOWEST_DEVIATION, mean_and_deviation


def test_they_are_those_of_all_pixels_of_a_channel() -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (7, 5, 3, 3), generator=generator).to(torch.uint8)
    pixels[..., 1] //= 3
    mean, std = mean_and_deviation(pixels)
    values = pixels.double() / 255
    assert mean == pytest.approx(values.mean((0, 1, 2)).tolist(), abs=1e-14)  # float64's rounding
    assert std == pytest.approx(values.std((0, 1, 2), correction=0).tolist(), abs=1e-14)
    assert mean_and_deviation(pixels.flip(0)) == (mean, std)


def test_what_is_the_same_everywhere_can_be_divided_by_its_deviation() -> None:
    mean, std = mean_and_deviation(torch.full((2, 4, 4, 3), 51, dtype=torch.uint8))
    assert mean == pytest.approx((0.2,) * 3)
    assert std == (LOWEST_DEVIATION,) * 3
