"""What a run left in ``metrics.csv``, epoch by epoch: its best epoch, and its picture."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ansnet.files import whole


@dataclass(frozen=True)
class Epoch:
    """The figures after an epoch; epoch 0 is the untrained network.

    The accuracy with test-time augmentation, ``val_accuracy_tta``, is known after a run's last epoch,
    if asked for; the seconds of training so far, ``training_seconds``, and the images trained on a
    second in this epoch, only of a trained network.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    val_accuracy_tta: float | None = None
    training_seconds: float | None = None
    images_per_second: float | None = None


def read_history(metrics_csv: Path) -> list[Epoch]:
    """The epochs that ``metrics.csv`` holds in full.

    Args:
        metrics_csv: as Lightning's CSVLogger writes it, with the columns of `ImageClassifier`.

    Returns:
        The epochs in order.
    """
    figures = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
    columns = (*figures, "val/accuracy_tta", "training_seconds", "images_per_second")
    measured: dict[int, dict[str, float]] = {}
    with metrics_csv.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = {column: float(row[column]) for column in columns if row.get(column)}
            if values:
                measured.setdefault(int(float(row["epoch"])), {}).update(values)
    return [
        Epoch(epoch, **{column.replace("/", "_"): value for column, value in values.items()})
        for epoch, values in sorted(measured.items())
        if values.keys() >= set(figures)
    ]


Rows = Iterator[tuple[int, dict[str, float]]]


def read_rows(metrics_csv: Path, number: int | None = None) -> Rows:
    """The first rows of ``metrics.csv``, or all: of each its step, and its figures.

    A line that was cut off, as by a power failure, is left out.
    """
    with metrics_csv.open(newline="", encoding="utf-8") as file:
        whole = csv.DictReader(line for line in file if line.endswith("\n"))
        for row in islice(whole, number):
            step = int(row.pop("step"))
            yield step, {name: as_number(value) for name, value in row.items() if value}


def read_steps(metrics_csv: Path, steps: int) -> Rows:
    """What `read_rows` reads, of the first ``steps`` steps."""
    return ((step, figures) for step, figures in read_rows(metrics_csv) if step < steps)


def as_number(text: str) -> float:
    return int(text) if text.isdigit() else float(text)


def best_epoch(history: list[Epoch]) -> Epoch:
    """The epoch of training with the highest validation accuracy, the first such one."""
    return max((epoch for epoch in history if epoch.epoch > 0), key=lambda epoch: epoch.val_accuracy)


def draw_curves(history: list[Epoch], title: str, picture: Path) -> None:
    """Draw loss and accuracy of both subsets over the epochs, the best one marked, as a PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    best = best_epoch(history)
    epochs = [epoch.epoch for epoch in history]
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    for axes, quantity, scale in ((loss_axes, "loss", 1), (accuracy_axes, "accuracy", 100)):
        for subset, colour in (("train", "tab:blue"), ("val", "tab:orange")):
            values = [scale * getattr(epoch, f"{subset}_{quantity}") for epoch in history]
            axes.plot(epochs, values, marker="o", markersize=4, color=colour, label=subset)
        axes.set_xlabel("epochs completed")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right" if quantity == "loss" else "lower right")  # where no curve ends
    loss_axes.set_ylabel("cross-entropy")
    accuracy_axes.set_ylabel("accuracy in %")
    accuracy_axes.set_title(f"best: {best.val_accuracy:.2%} after epoch {best.epoch}", fontsize=10)
    accuracy_axes.axvline(best.epoch, color="tab:orange", linestyle=":", linewidth=1)
    with whole(picture) as unfinished:
        figure.savefig(unfinished, dpi=120, format="png")
