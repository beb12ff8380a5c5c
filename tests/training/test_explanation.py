"""`ansnet.training.explanation`: what is drawn, as far as pixels can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ansnet.data.picture import as_bytes
from ansnet.training.explanation import OUTSIDE, dimmed_outside, draw_explanation, middle, with_heat

RANKED = [("cat", 0.9), ("dog", 0.06), ("frog", 0.04)]


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (3000, 40), (60, 200), (451, 300)])
def test_a_picture_of_any_size_is_drawn(size: tuple[int, int], tmp_path: Path) -> None:
    picture = Image.new("RGB", size, "green")
    draw_explanation(tmp_path / "a.png", picture, as_bytes(picture), torch.rand(4, 4), RANKED)
    with Image.open(tmp_path / "a.png") as drawn:
        drawn.load()
        assert drawn.format == "PNG"
        colours = drawn.convert("RGB").getcolors(1 << 24)
    assert (0, 128, 0) in {colour for _, colour in colours or ()}


@pytest.mark.parametrize(
    "name", ["$x_1$", "猫", "a name that is longer than there is room for", "$", "%"]
)
def test_a_class_may_have_any_name(name: str, tmp_path: Path) -> None:
    picture = Image.new("RGB", (32, 32))
    draw_explanation(tmp_path / "a.png", picture, as_bytes(picture), torch.ones(4, 4), [(name, 1.0)])
    assert (tmp_path / "a.png").stat().st_size > 0


def test_what_the_network_is_not_shown_is_darker() -> None:
    picture = Image.new("RGB", (200, 100), (100, 200, 40))
    drawn = dimmed_outside(picture)
    assert middle(picture).size == (100, 100)
    assert (drawn[:, 50:150] == [100, 200, 40]).all()
    for side in (drawn[:, :50], drawn[:, 150:]):
        assert abs(side - OUTSIDE * np.array([100, 200, 40])).max() <= 0.5


def test_where_no_place_speaks_nothing_is_painted() -> None:
    pixels = np.full((40, 40, 3), 120, np.uint8)
    cold = with_heat(pixels, torch.zeros(4, 4))
    assert np.allclose(cold, cold[0, 0])


def test_the_hottest_place_is_painted_the_most() -> None:
    pixels = np.full((40, 40, 3), 120, np.uint8)
    heat = torch.zeros(4, 4)
    heat[1, 2] = 3.0  # its scale has no meaning
    painted = abs(with_heat(pixels, heat) - with_heat(pixels, torch.zeros(4, 4))).sum(2)
    row, column = np.unravel_index(painted.argmax(), painted.shape)
    assert 10 <= row < 20
    assert 20 <= column < 30
    assert painted[30:, :10].max() < 0.1 * painted.max()
    torch.testing.assert_close(with_heat(pixels, heat), with_heat(pixels, heat / 100))


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    picture = Image.new("RGB", (32, 32))
    with pytest.raises(OSError, match="missing"):
        draw_explanation(
            tmp_path / "missing/a.png", picture, as_bytes(picture), torch.ones(4, 4), RANKED
        )
