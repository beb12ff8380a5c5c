"""`ansnet.training.repeat`: the same run from several seeds."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

from ansnet.commands.train import farewell
from ansnet.data import Shapes10DataModule
from ansnet.training import repeat as repeat_module
from ansnet.training import run as run_module
from ansnet.training.divergence import Verdict
from ansnet.training.history import Epoch, draw_curves
from ansnet.training.interruption import Interrupted, Interruption
from ansnet.training.repeat import Figures, Repetition, repeat
from ansnet.training.report import Result
from ansnet.training.run import train
from ansnet.training.settings import Settings, SettingsError
from ansnet.training.stopped import TrainingStopped


@pytest.fixture(autouse=True)
def _few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shapes10DataModule, "train_size", 200)
    monkeypatch.setattr(Shapes10DataModule, "val_size", 100)


def settings(log_dir: Path, **given: Any) -> Settings:
    return Settings.complete(
        {
            "model": "CR(4), M(8), L(10)",
            "dataset": "shapes10",
            "max_epochs": 1,
            "accelerator": "cpu",
            "devices": 1,
            "channels_last": False,
            "seed": 5,
            "ops": "ansnet",
            "log_dir": str(log_dir),
            **given,
        }
    )


def lines_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_run_is_that_of_its_seed_alone(tmp_path: Path) -> None:
    repetition = repeat(settings(tmp_path / "repeated", test_time_flip=True), 3)
    assert [run.run for run in repetition.runs] == ["5", "6", "7"]
    for run in repetition.runs:
        alone = train(settings(tmp_path / "alone", test_time_flip=True, seed=int(run.run)))
        last = alone.history[-1]
        assert (run.val_accuracy, run.val_accuracy_tta) == (last.val_accuracy, last.val_accuracy_tta)
        assert (run.val_loss, run.train_loss) == (last.val_loss, last.train_loss)
        assert (Path(run.log_dir) / "metrics.csv").exists()
    assert repetition.table == tmp_path / "repeated" / "notation" / "repeat_version_0.csv"
    rows = lines_of(repetition.table)
    assert [row["run"] for row in rows] == ["5", "6", "7", "mean", "deviation", "best", "worst"]
    assert float(rows[0]["val_accuracy"]) == repetition.runs[0].val_accuracy


def figures(run: str, accuracy: float, seconds: float, averaged: float | None = None) -> Figures:
    return Figures(run, accuracy, averaged, 1 - accuracy, 0.9, 0.2, seconds, f"logs/{run}")


def test_statistics_are_taken_figure_by_figure() -> None:
    accuracies, seconds = [0.78, 0.75, 0.76], [61.0, 60.0, 65.0]
    runs = [
        figures(str(seed), *pair) for seed, pair in enumerate(zip(accuracies, seconds, strict=True))
    ]
    middle, deviation, best, worst = Repetition(runs, Path("table.csv")).statistics()
    assert (middle.val_accuracy, middle.training_seconds) == (mean(accuracies), mean(seconds))
    assert (deviation.val_accuracy, deviation.training_seconds) == (stdev(accuracies), stdev(seconds))
    assert (best.val_accuracy, best.val_loss, best.training_seconds) == (0.78, 1 - 0.78, 60.0)
    assert (worst.val_accuracy, worst.val_loss, worst.training_seconds) == (0.75, 1 - 0.75, 65.0)
    assert middle.val_accuracy_tta is None


def test_the_table_on_the_terminal() -> None:
    runs = [figures("0", 0.78, 61, 0.79), figures("1", 0.76, 63, 0.77)]
    assert str(Repetition(runs, Path("logs/repeat_version_0.csv"))).splitlines() == [
        "seed          val accuracy   test-time augmented    training",
        "0                   78.00%                79.00%        1:01",
        "1                   76.00%                77.00%        1:03",
        "mean                77.00%                78.00%        1:02",
        "deviation            1.41%                 1.41%        0:01",
        "best                78.00%                79.00%        1:01",
        "worst               76.00%                77.00%        1:03",
        "after the last epoch of each run; recorded in logs/repeat_version_0.csv",
    ]


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_told_to_end_while_a_run_is_recorded_it_ends_after_that_run(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(history: list[Epoch], title: str, picture: Path) -> None:
        draw_curves(history, title, picture)
        if picture.parent.name == f"version_{seed - 5}":
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(run_module, "draw_curves", told)
    table = tmp_path / "notation" / "repeat_version_0.csv"
    with Interruption() as interruption:
        if seed == 7:  # the last one: all is done
            assert len(repeat(settings(tmp_path), 3, interruption).runs) == 3
            return
        with pytest.raises(Interrupted) as error:
            repeat(settings(tmp_path), 3, interruption)
    assert [row["run"] for row in lines_of(table)][: seed - 4] == ["5", "6"][: seed - 4]
    assert not (tmp_path / "notation" / f"version_{seed - 4}").exists()
    done = {5: "5", 6: "5 to 6"}[seed]
    assert error.value.left == f"the seeds after {seed}; the table has seed {done}: {table}"
    first, curves, left = farewell(error.value, "python train.py").splitlines()
    assert first == f"ended by SIGTERM; all epochs are trained, and recorded in {error.value.log_dir}"
    assert curves.split()[-1] == str(tmp_path / "notation" / f"version_{seed - 5}" / "curves.png")
    assert left == f"left out     {error.value.left}"


def test_told_to_end_before_a_run_has_begun_it_names_the_table_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_at_seed_6(chosen: Settings, interruption: Interruption) -> Result:
        if chosen.seed == 6:
            raise Interrupted(signal.SIGINT)
        return train(chosen, interruption)

    monkeypatch.setattr(repeat_module, "train", told_at_seed_6)
    with Interruption() as interruption, pytest.raises(Interrupted) as error:
        repeat(settings(tmp_path), 3, interruption)
    table = tmp_path / "notation" / "repeat_version_0.csv"
    assert farewell(error.value, "python train.py").splitlines() == [
        "ended by Ctrl-C; nothing was trained that could be gone on from",
        f"left out     the seeds from 6 on; the table has seed 5: {table}",
    ]


def test_a_run_that_is_broken_off_loses_none_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off_at_seed_7(settings: Settings, _: object) -> Result:
        if settings.seed == 7:
            raise KeyboardInterrupt
        history = [Epoch(1, 0.5, 0.8, 0.6, 0.5 + settings.seed / 100, training_seconds=3.0)]
        folder = tmp_path / f"version_{settings.seed}"
        return Result(history, history[0], folder / "best.ckpt", folder, 4.0, settings.lr, 1)

    monkeypatch.setattr(repeat_module, "train", break_off_at_seed_7)
    with pytest.raises(KeyboardInterrupt):
        repeat(settings(tmp_path), 3)
    rows = lines_of(tmp_path / "repeat_version_5.csv")
    assert [row["run"] for row in rows] == ["5", "6", "mean", "deviation", "best", "worst"]
    assert float(rows[2]["val_accuracy"]) == pytest.approx(0.555)


def test_a_run_that_diverged_counts_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge_at_seed_6(settings: Settings, *_: Any) -> Result:
        history = [Epoch(1, 0.5, 0.8, 0.6, 0.5, training_seconds=3.0)]
        folder = tmp_path / f"version_{settings.seed}"
        verdict = Verdict("diverged", "", "") if settings.seed == 6 else None
        return Result(history, history[0], folder / "best.ckpt", folder, 4.0, 0.1, 1, verdict)

    monkeypatch.setattr(repeat_module, "train", diverge_at_seed_6)
    repetition = repeat(settings(tmp_path), 3)
    assert repetition.exit_code == 1
    assert "diverged, and counted: seed 6" in str(repetition).splitlines()
    assert repeat(settings(tmp_path, seed=7), 2).exit_code == 0


def test_a_run_that_has_to_stop_names_its_seed_and_where_the_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_at_seed_7(settings: Settings, *_: Any) -> Result:
        if settings.seed == 7:
            raise TrainingStopped("the loss is not finite")
        history = [Epoch(1, 0.5, 0.8, 0.6, 0.5, training_seconds=3.0)]
        folder = tmp_path / f"version_{settings.seed}"
        return Result(history, history[0], folder / "best.ckpt", folder, 4.0, 0.1, 1)

    monkeypatch.setattr(repeat_module, "train", stop_at_seed_7)
    with pytest.raises(TrainingStopped) as raised:
        repeat(settings(tmp_path), 4)
    table = tmp_path / "repeat_version_5.csv"
    assert raised.value.details == {"seed": f"7; those from 5 on are in {table}"}
    assert [row["run"] for row in lines_of(table)][:2] == ["5", "6"]
    with pytest.raises(TrainingStopped) as raised:
        repeat(settings(tmp_path, seed=7), 4)
    assert raised.value.details == {"seed": "7"}


def test_of_a_single_run_there_are_no_statistics() -> None:
    repetition = Repetition([figures("0", 0.78, 61)], Path("table.csv"))
    assert repetition.statistics() == []
    assert len(str(repetition).splitlines()) == 3


def test_a_checkpoint_is_of_one_seed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--repeat 3 cannot go on from --resume last\.ckpt"):
        repeat(settings(tmp_path, resume="last.ckpt"), 3)
