"""`benchmarks/long_run.py`: a training that goes on does not grow."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

import long_run
from long_run import Row, report, slope
from results import read

EPOCHS = 12
WARM = 4  # epochs, after which what is made once has been made


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    return long_run.train(EPOCHS, str(tmp_path_factory.mktemp("logs")), images=200, pictures=1)


def test_each_epoch_is_measured(rows: list[Row]) -> None:
    assert [row.epoch for row in rows] == list(range(1, EPOCHS + 1))
    assert all(row.memory_mib > 50 and row.handles > 2 and row.files > 4 for row in rows)


def test_handles_and_files_stay_as_many(rows: list[Row]) -> None:
    assert len({row.handles for row in rows[WARM:]}) == 1
    assert len({row.files for row in rows[1:]}) == 1


def test_tensors_stay_as_many(rows: list[Row]) -> None:
    assert len({row.tensors for row in rows[WARM:-1]}) == 1


def test_what_is_kept_of_an_epoch_is_a_line_of_figures(rows: list[Row]) -> None:
    # the accuracies by class, which a resumed run writes once more: a tuple and a list
    grown = [after.objects - before.objects for before, after in pairwise(rows[WARM:-1])]
    assert max(grown) <= 8


def test_the_log_grows_by_the_same_for_each_epoch(rows: list[Row]) -> None:
    grown = [after.log_kib - before.log_kib for before, after in pairwise(rows[WARM:-1])]
    assert 0 < max(grown) < 1.1 * min(grown)


def test_the_slope_leaves_the_first_half_and_the_last_epoch_out() -> None:
    row = {"memory_mib": 1.0, "handles": 3, "objects": 5, "tensors": 2, "files": 6}
    row |= {"log_kib": 1.0, "checkpoints_kib": 0.0, "device": "", "threads": 1, "cpu_capability": ""}
    row |= {"python": "", "torch": "", "date": ""}
    sizes = [900.0, 7.0, 1.0, 3.0, 5.0, 700.0]
    made = [Row(**{**row, "epoch": i + 1, "log_kib": size}) for i, size in enumerate(sizes)]
    assert slope(made, "log_kib") == pytest.approx(2.0)
    assert slope(made, "handles") == 0.0
    assert "log_kib                  900         3       700           2.0000" in report(made)


def test_the_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[Row]) -> None:
    monkeypatch.setattr(long_run, "train", lambda epochs, log_dir, images: rows[:epochs])
    monkeypatch.setattr("sys.argv", ["long_run.py", "--epochs", "5", "--results", str(tmp_path)])
    long_run.main()
    assert [row.epoch for row in read(tmp_path / "long_run-cpu.csv", Row)] == [1, 2, 3, 4, 5]
