"""`ansnet.training.history`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from ansnet.training.history import Epoch, best_epoch, draw_curves, read_history, read_steps

METRICS = """\
epoch,step,train/accuracy,train/accuracy_step,train/loss,val/accuracy,val/loss
0.0,0,0.1,,2.3,0.11,2.31
0,0,,0.2,,,
1.0,9,,,,0.5,1.5
1.0,9,0.4,,1.6,,
1,10,,0.6,,,
2.0,19,,,,0.4,1.7
2.0,19,0.6,,1.0,,
3.0,29,,,,0.7,0.9
"""

HISTORY = [Epoch(0, 2.3, 0.1, 2.31, 0.11), Epoch(1, 1.6, 0.4, 1.5, 0.5), Epoch(2, 1.0, 0.6, 1.7, 0.4)]


def test_epochs_are_read_from_the_rows_and_incomplete_ones_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(METRICS)
    assert read_history(tmp_path / "metrics.csv") == HISTORY


def test_the_first_steps_are_read_row_by_row_and_a_line_cut_off_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(METRICS + "3.0,29,0.8,,0.5,,0.")
    first = [
        (
            0,
            {
                "epoch": 0.0,
                "train/accuracy": 0.1,
                "train/loss": 2.3,
                "val/accuracy": 0.11,
                "val/loss": 2.31,
            },
        ),
        (0, {"epoch": 0, "train/accuracy_step": 0.2}),
        (9, {"epoch": 1.0, "val/accuracy": 0.5, "val/loss": 1.5}),
        (9, {"epoch": 1.0, "train/accuracy": 0.4, "train/loss": 1.6}),
    ]
    assert list(read_steps(tmp_path / "metrics.csv", 10)) == first
    assert len(list(read_steps(tmp_path / "metrics.csv", 30))) == METRICS.count("\n") - 1


def test_the_best_epoch_is_that_of_the_highest_validation_accuracy() -> None:
    assert best_epoch(HISTORY).epoch == 1
    lucky_start = replace(HISTORY[0], val_accuracy=0.9)
    assert best_epoch([lucky_start, *HISTORY[1:]]).epoch == 1


def test_the_curves_are_those_of_the_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *unused, **options: drawn.append(self))
    draw_curves(HISTORY, "a network on a data set", tmp_path / "curves.png")
    loss_axes, accuracy_axes = drawn[0].axes
    curves = [
        {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()[:2]}
        for axes in (loss_axes, accuracy_axes)
    ]
    assert curves == [
        {"train": [[0, 2.3], [1, 1.6], [2, 1.0]], "val": [[0, 2.31], [1, 1.5], [2, 1.7]]},
        {"train": [[0, 10], [1, 40], [2, 60]], "val": [[0, 11], [1, 50], [2, 40]]},
    ]
    assert accuracy_axes.get_title() == "best: 50.00% after epoch 1"
    for axes in (loss_axes, accuracy_axes):
        assert all(tick == int(tick) for tick in axes.get_xticks())


def test_the_picture_shows_something(tmp_path: Path) -> None:
    draw_curves(HISTORY, "a network on a data set", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (1200, 480)
        assert len(picture.convert("RGB").getcolors(10**6)) > 100
