"""`ansnet.training.board.lettering`."""

from __future__ import annotations

import numpy as np
import pytest

from ansnet.training.board.lettering import shortened, upright, width


@pytest.mark.parametrize("text", ["cat", "kočka", "a name that is far too long for its place", ""])
@pytest.mark.parametrize("pixels", [20, 60, 1000])
def test_a_shortened_text_fits_and_says_that_it_is_one(text: str, pixels: int) -> None:
    short = shortened(text, 12, pixels)
    assert width(short, 12) <= pixels
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))
    assert (short == text) == (width(text, 12) <= pixels)


def test_an_upright_text_is_the_line_turned_to_the_left() -> None:
    picture = np.asarray(upright("L", 40))
    ink = (picture < 128).all(2)
    assert picture.shape[0] == width("L", 40) + 2
    # the long stroke of the L, at its left, is now at the bottom
    assert ink[len(ink) // 2 :].sum() > ink[: len(ink) // 2].sum()
