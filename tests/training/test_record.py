"""`ansnet.training.record`: ``metrics.csv``, and what a run that goes on takes up of it."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansnet.training.history import read_rows
from ansnet.training.record import KEY, Record, Table
from tests.training.pretended import Logger, pretended
from tests.training.small import small_settings


def test_the_table_holds_whole_rows_whatever_columns_come(tmp_path: Path) -> None:
    table = Table(str(tmp_path), "run", version=0)
    path = Path(table.log_dir, "metrics.csv")
    for step in range(5):
        table.log_metrics({"loss": 0.5 * step}, step)
        assert table.sync() == step + 1
        assert len(list(read_rows(path))) == step + 1
    table.log_metrics({"loss": 7.0, "accuracy": 0.25}, 5)
    assert table.sync() == 6
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == list("012345")
    assert [row["accuracy"] for row in rows] == [*[""] * 5, "0.25"]
    assert [each.name for each in path.parent.iterdir()] == ["metrics.csv"]


def test_a_new_column_takes_no_row_where_writing_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(str(tmp_path), "run", version=0)
    path = Path(table.log_dir, "metrics.csv")
    table.log_metrics({"loss": 0.5}, 0)
    table.sync()
    whole = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    table.log_metrics({"accuracy": 0.5}, 1)
    monkeypatch.setattr(csv.DictWriter, "writerows", fail)
    with pytest.raises(OSError, match="No space"):
        table.sync()
    assert path.read_bytes() == whole


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The checkpoint after two steps of a run whose first epoch was the best."""
    checkpoints = tmp_path / "earlier" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (checkpoints / "best-epoch=1.ckpt").write_text("the best")
    table = "step,epoch,val/accuracy,train/loss_step\n0,0,,2.5\n1,0,,2.25\n1,1,0.5,\n2,1,,2.0\n"
    (checkpoints.parent / "metrics.csv").write_text(table)
    return checkpoints / "last.ckpt"


def resumed(
    earlier: Path,
    folder: Path,
    said: dict[str, Any] | None = None,
    **given: Any,
) -> tuple[Logger, dict[str, Any]]:
    """What `Record` has logged, and what becomes of the state of the best checkpoint."""
    logger = Logger()
    best = SimpleNamespace(state_key="best", dirpath=str(folder / "later" / "checkpoints"))
    trainer = pretended(loggers=[logger], checkpoint_callback=best, ckpt_path=str(earlier), **given)
    state = {"best_model_path": "/elsewhere/best-epoch=1.ckpt", "best_model_score": 0.5}
    checkpoint = {"global_step": 2, "callbacks": {"best": state}}
    Record(small_settings(folder)).on_load_checkpoint(trainer, None, {**checkpoint, **(said or {})})
    return logger, state


@pytest.mark.parametrize("is_there", [False, True])
def test_the_earlier_record_becomes_the_runs_own(earlier: Path, tmp_path: Path, is_there: bool) -> None:
    if is_there:
        (tmp_path / "later" / "checkpoints").mkdir(parents=True)
    logger, state = resumed(earlier, tmp_path)
    assert logger.rows == [
        (0, {"epoch": 0, "train/loss_step": 2.5}),
        (1, {"epoch": 0, "train/loss_step": 2.25}),
        (1, {"epoch": 1, "val/accuracy": 0.5}),
    ]
    own = tmp_path / "later" / "checkpoints" / "best-epoch=1.ckpt"
    assert own.read_text() == "the best"
    assert state == {
        "dirpath": str(own.parent),
        "best_model_path": str(own),
        "kth_best_model_path": str(own),
        "best_model_score": 0.5,
        "best_k_models": {str(own): 0.5},
    }


def test_a_checkpoint_says_how_many_rows_are_its_own_and_what_follows_them(
    earlier: Path, tmp_path: Path
) -> None:
    said = {"rows": 2, "unwritten": {"train/loss": 2.0, "epoch": 1.0}}
    logger, _ = resumed(earlier, tmp_path, {KEY: said})
    assert logger.rows == [
        (0, {"epoch": 0, "train/loss_step": 2.5}),
        (1, {"epoch": 0, "train/loss_step": 2.25}),
        (1, {"train/loss": 2.0, "epoch": 1.0}),
    ]


def test_within_the_first_epoch_there_is_no_best_one(earlier: Path, tmp_path: Path) -> None:
    (earlier.parent / "best-epoch=1.ckpt").unlink()
    logger, best = Logger(), SimpleNamespace(state_key="best", dirpath=str(tmp_path))
    trainer = pretended(loggers=[logger], checkpoint_callback=best, ckpt_path=str(earlier))
    checkpoint = {
        "global_step": 1,
        "callbacks": {"best": {"best_model_path": ""}},
        KEY: {"rows": 1, "unwritten": {}},
    }
    Record(small_settings(tmp_path)).on_load_checkpoint(trainer, None, checkpoint)
    assert len(logger.rows) == 1
    assert checkpoint["callbacks"] == {"best": {"best_model_path": "", "dirpath": str(tmp_path)}}


def test_of_several_processes_one_copies_the_earlier_best(earlier: Path, tmp_path: Path) -> None:
    _, state = resumed(earlier, tmp_path, is_global_zero=False)
    assert not (tmp_path / "later").exists()
    assert state["best_model_path"] == str(tmp_path / "later" / "checkpoints" / "best-epoch=1.ckpt")


@pytest.mark.parametrize(
    "missing",
    [
        ["metrics.csv"],
        ["checkpoints/best-epoch=1.ckpt"],
        ["checkpoints/best-epoch=1.ckpt", "metrics.csv"],
    ],
)
@pytest.mark.parametrize("writes", [True, False])
def test_without_an_earlier_record_a_line_says_so(
    earlier: Path,
    tmp_path: Path,
    missing: list[str],
    writes: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, *_ = paths = [tmp_path / "earlier" / name for name in missing]
    for each in paths:
        each.unlink()
    logger, state = resumed(earlier, tmp_path, is_global_zero=writes)
    assert len(logger.rows) == (0 if "metrics.csv" in missing else 3)
    is_there = missing == ["metrics.csv"]
    folder = str(tmp_path / "later" / "checkpoints") if is_there else "/elsewhere"
    assert state["best_model_path"] == f"{folder}/best-epoch=1.ckpt"
    told = f"what it recorded before is not all there: there is no {path}\n"
    assert capsys.readouterr().out == (told if writes else "")
