"""`benchmarks/runs.py`, `time_to_accuracy.py` and `ablation.py`: runs as rows, and what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import ablation
import time_to_accuracy
from ansnet.cli import make_parser
from ansnet.data import Shapes10DataModule
from ansnet.training.settings import Settings
from runs import Run, append, carry_out, read

RUN = Run(
    "ansnet", "--model vgg7", 0, 2, 0.78, 0.79, 300.0, "a CPU", 2, "AVX2", "3.11", "2.13", "2026-11-25"
)


def test_a_run_is_train_pys_epoch_by_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shapes10DataModule, "train_size", 200)
    monkeypatch.setattr(Shapes10DataModule, "val_size", 100)
    options = "--model 'CR(4), M(8), L(10)' --dataset shapes10 --accelerator cpu --test-time-flip"
    first, last = carry_out("a name", options, 3, None, str(tmp_path))
    assert (first.epoch, last.epoch, last.seed, last.name) == (1, 2, 3, "a name")
    assert (first.val_accuracy_tta, last.val_accuracy_tta is None) == (None, False)
    assert 0 < first.training_seconds < last.training_seconds
    assert last.torch == torch.__version__
    assert list(tmp_path.rglob("metrics.csv"))


def test_rows_are_added_and_read_back(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "runs.csv"
    assert read(file) == []
    append([RUN], file)
    append([replace(RUN, epoch=3, val_accuracy_tta=None)], file)
    assert read(file) == [RUN, replace(RUN, epoch=3, val_accuracy_tta=None)]
    assert len(file.read_text().splitlines()) == 3


def epochs(name: str, seed: int, accuracies: list[float]) -> list[Run]:
    """A run whose epochs take 100 seconds each."""
    return [
        replace(RUN, name=name, seed=seed, epoch=i, val_accuracy=accuracy, training_seconds=100.0 * i)
        for i, accuracy in enumerate(accuracies, 1)
    ]


def test_the_time_is_that_of_the_first_epoch_as_accurate_as_our_last() -> None:
    ours = [*epochs("ansnet", 0, [0.6, 0.75]), *epochs("ansnet", 1, [0.7, 0.77])]
    plain = epochs("torch.nn", 0, [0.5, 0.6, 0.7, 0.76, 0.75])
    assert time_to_accuracy.comparison(ours, plain).splitlines() == [
        "ansnet: 76.00% after 2 epochs and 200 s of training "
        "(mean and median of 2 seeds, 75.00% at the least)",
        "torch.nn with Adam: reached after 400 s; time ×0.50",
    ]


def test_what_was_not_reached_is_said() -> None:
    ours, plain = epochs("ansnet", 0, [0.6, 0.8]), epochs("torch.nn", 0, [0.6, 0.7, 0.75, 0.7])
    assert (
        "not reached in 4 epochs and 400 s; 75.00% at the most; time less than ×0.50"
        in time_to_accuracy.comparison(ours, plain)
    )


def test_the_table_says_what_a_trick_is_worth_by_seed() -> None:
    runs = [
        *epochs("nothing", 0, [0.5, 0.90]),
        *epochs("nothing", 1, [0.5, 0.92]),
        *epochs("cutout", 0, [0.95, 0.89]),  # the last epoch counts, not the best
        *epochs("warm-up", 1, [0.5, 0.93]),
    ]
    _, _, *lines = ablation.table(runs).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [(row[0], row[2], row[3], row[5]) for row in cells] == [
        ("nothing", "91.00 ± 1.41", "–", "2"),
        ("cutout", "89.00", "+1.00", "1"),
        ("warm-up", "93.00", "-1.00", "1"),
    ]


@pytest.mark.parametrize("options", ablation.WITHOUT.values())
def test_what_is_left_out_changes_the_recipe_and_nothing_else(options: str) -> None:
    def settings(words: str) -> Settings:
        return Settings.complete(vars(make_parser().parse_args(words.split())))

    recipe, changed = (settings(f"{ablation.RECIPE} {words}") for words in ("", options))
    assert (changed == recipe) == (not options)
    assert (changed.model, changed.max_epochs) == (recipe.model, recipe.max_epochs)


def test_plain_pytorch_is_trained_by_adam_without_tricks() -> None:
    settings = Settings.complete(vars(make_parser().parse_args(time_to_accuracy.PLAIN.split())))
    assert (settings.ops, settings.optimizer, settings.schedule) == ("torch", "adam", "constant")
    assert (settings.augment, settings.label_smoothing, settings.weight_decay) == (False, 0, 0)
