"""`benchmarks/runs.py`, `time_to_accuracy.py` and `ablation.py`: runs as rows, and what they say."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

import ablation
import time_to_accuracy
from ansnet.commands.train import make_parser
from ansnet.data import Shapes10DataModule
from ansnet.training.settings import Settings
from results import append, read
from runs import Run, carry_out

RUN = Run(
    name="ansnet",
    options="--model vgg7",
    seed=0,
    epoch=2,
    val_accuracy=0.78,
    val_accuracy_tta=0.79,
    training_seconds=300.0,
    precision="32-true",
    compile="none",
    device="a CPU",
    threads=2,
    cpu_capability="AVX2",
    python="3.11",
    torch="2.13",
    date="2026-11-25",
)


def test_a_run_is_train_pys_epoch_by_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shapes10DataModule, "train_size", 200)
    monkeypatch.setattr(Shapes10DataModule, "val_size", 100)
    options = "--model 'CR(4), M(8), L(10)' --dataset shapes10 --accelerator cpu --test-time-flip"
    first, last = carry_out("a name", options, 3, None, str(tmp_path))
    assert (first.epoch, last.epoch, last.seed, last.name) == (1, 2, 3, "a name")
    assert (first.val_accuracy_tta, last.val_accuracy_tta is None) == (None, False)
    assert 0 < first.training_seconds < last.training_seconds
    assert (last.torch, last.precision, last.compile) == (torch.__version__, "32-true", "none")
    assert list(tmp_path.rglob("metrics.csv"))


def test_rows_are_added_and_read_back(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "runs.csv"
    assert read(file, Run) == []
    append([RUN], file)
    append([replace(RUN, epoch=3, val_accuracy_tta=None)], file)
    assert read(file, Run) == [RUN, replace(RUN, epoch=3, val_accuracy_tta=None)]
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
        "not reached by every seed in 4 epochs and 400 s, 75.00% at the most; time less than ×0.50"
        in time_to_accuracy.comparison(ours, plain)
    )


def test_the_table_says_how_a_variant_differs_seed_by_seed() -> None:
    runs = [
        *epochs("without warm-up", 1, [0.5, 0.93]),
        *epochs("all tricks", 0, [0.5, 0.90]),
        *epochs("all tricks", 1, [0.5, 0.92]),
        *epochs("with cutout", 0, [0.95, 0.89]),  # the last epoch counts, not the best
        *[replace(run, options="others") for run in epochs("with cutout", 1, [0.5, 0.88])],
    ]
    _, _, *lines = ablation.table(runs).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [(row[0], row[2], row[3], row[5]) for row in cells] == [
        ("without warm-up", "93.00", "+1.00", "1"),
        ("all tricks", "91.00 ± 1.41", "–", "2"),
        ("with cutout", "89.00", "-1.00", "1"),
        ("with cutout", "88.00", "-4.00", "1"),
    ]


@pytest.mark.parametrize(
    ("variant", "changed"),
    [
        ("all tricks", set()),
        ("without Muon", {"optimizer", "momentum", "nesterov", "weight_decay", "bias_lr_factor"}),
        ("without falling learning rate", {"schedule"}),
        ("without warm-up", {"warmup"}),
        ("without label smoothing", {"label_smoothing"}),
        ("without augmentation", {"augment", "flip"}),
        ("without alternating flips", {"flip"}),
        ("without reflected borders", {"border"}),
        ("without higher learning rate of biases", {"bias_lr_factor"}),
        ("without identity initialisation", {"identity_init"}),
        ("with cutout", {"cutout"}),
    ],
)
def test_a_variant_is_all_tricks_but_for_one(variant: str, changed: set[str]) -> None:
    def settings(words: str) -> dict[str, object]:
        return asdict(Settings.complete(vars(make_parser().parse_args(words.split()))))

    all_tricks = settings(f"{ablation.RECIPE} {ablation.ALL_TRICKS}")
    other = settings(f"{ablation.RECIPE} {ablation.VARIANTS[variant]}")
    assert {name for name in all_tricks if all_tricks[name] != other[name]} == changed


def test_plain_pytorch_is_trained_by_adam_without_tricks() -> None:
    settings = Settings.complete(vars(make_parser().parse_args(time_to_accuracy.PLAIN.split())))
    assert (settings.ops, settings.optimizer, settings.schedule) == ("torch", "adam", "constant")
    assert (settings.augment, settings.label_smoothing, settings.weight_decay) == (False, 0, 0)
    assert (settings.warmup, settings.test_time_flip) == (0, False)
