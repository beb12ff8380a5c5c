"""`ansnet.training.board.confusion`."""

from __future__ import annotations

import numpy as np
import pytest

from ansnet.training.board.confusion import (
    RIGHT,
    WRONG,
    accuracy_by_class,
    confusion_picture,
    tint,
)


def test_accuracy_by_class() -> None:
    counts = np.array([[3, 1, 0], [0, 0, 0], [2, 2, 0]])
    shares = accuracy_by_class(counts)
    assert shares[[0, 2]].tolist() == [0.75, 0.0]
    assert np.isnan(shares[1])


def count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(2).sum())


@pytest.mark.parametrize("classes", [1, 2, 10, 21, 100])
def test_what_is_right_is_blue_and_what_is_wrong_is_red(classes: int) -> None:
    names = [f"class {i}" for i in range(classes)]
    right = confusion_picture(7 * np.eye(classes, dtype=int), names, "title")
    wrong = confusion_picture(7 * np.eye(classes, dtype=int)[::-1], names, "title")
    assert count(right, tint(RIGHT, 1)) > 50 * classes
    assert count(right, tint(WRONG, 1)) == 0
    assert count(wrong, tint(WRONG, 1)) > 50 * (classes - 1 - classes % 2)
    # as large with any numbers, so that the pictures of all epochs lie on each other
    assert right.shape == wrong.shape


@pytest.mark.parametrize("classes", [10, 100])
def test_each_name_is_written_at_both_sides(classes: int) -> None:
    counts = np.zeros((classes, classes), int)
    plain = confusion_picture(counts, ["nothing"] + [""] * (classes - 1), "")
    for i in (1, classes - 1):
        names = ["nothing"] + [""] * (classes - 1)
        names[i] = "name"
        rows, _ = (confusion_picture(counts, names, "") != plain).any(2).nonzero()
        size = 46 if classes == 10 else 12
        first = plain.shape[0] - 8 - classes * size
        in_row = rows >= first
        assert ((rows[in_row] - first) // size == i).all()
        assert (~in_row).any()


def test_an_empty_class_has_no_bar() -> None:
    counts = np.array([[4, 0], [0, 0]])
    picture = confusion_picture(counts, ["a", "b"], "")
    bars = (picture == tint(RIGHT, 0.6)).all(2).any(1)
    assert 30 < bars.sum() < 46  # one, of the first class
