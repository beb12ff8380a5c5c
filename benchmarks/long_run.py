"""Whether a long training grows: its memory, its open files, its log::

    python benchmarks/long_run.py                 # 200 epochs
    python benchmarks/long_run.py --epochs 1000

trains a tiny network on few images as ``train.py`` does, everything recorded, and measures after each
epoch. Memory and open files have to stay where they are, and the log folder has to grow by the same for
each epoch. What is told of each is the slope of the straight line through the second half of the
epochs, when what is made once has been made, without the last one, after which the final pictures are
written. Pictures are drawn after every tenth.
"""

from __future__ import annotations

import argparse
import gc
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch

from ansnet.compatibility import lightning
from ansnet.data import Shapes10DataModule
from ansnet.training import build, run
from ansnet.training.settings import Settings
from measure import add_results
from results import MIB, Conditions, append, conditions

MODEL = "CNR(4), M(8), L(10)"
PICTURES = 10  # epochs from one time to the next; by default it depends on the clock
KIB = 1024


@dataclass(frozen=True, kw_only=True)
class Row(Conditions):
    """A line of the CSV: what there was after an epoch.

    Attributes:
        memory_mib: of the process, resident.
        handles: open files, sockets and the like.
        objects: of Python's, as far as its collector knows them, when it has collected.
        tensors: among them.
        log_kib: of the run's folder without its checkpoints.
        checkpoints_kib: of those.
        files: in the run's folder.
    """

    epoch: int
    memory_mib: float
    handles: int
    objects: int
    tensors: int
    log_kib: float
    checkpoints_kib: float
    files: int


class Meter(lightning.Callback):
    """Measures after each epoch, once its checkpoints are written."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def on_train_epoch_start(self, trainer: lightning.Trainer, *unused: Any) -> None:
        if trainer.current_epoch > 0:
            self.measure(trainer.current_epoch, Path(str(trainer.log_dir)))

    def on_train_end(self, trainer: lightning.Trainer, *unused: Any) -> None:
        self.measure(trainer.current_epoch, Path(str(trainer.log_dir)))

    def measure(self, epoch: int, folder: Path) -> None:
        files = [file for file in folder.rglob("*") if file.is_file()]
        checkpoints = [file for file in files if file.suffix == ".ckpt"]
        log = [file for file in files if file not in checkpoints]
        gc.collect()
        objects = gc.get_objects()
        tensors = sum(issubclass(type(each), torch.Tensor) for each in objects)
        self.rows.append(
            Row(
                epoch=epoch,
                memory_mib=resident_memory() / MIB,
                handles=open_files(),
                objects=len(objects),
                tensors=tensors,
                log_kib=size(log) / KIB,
                checkpoints_kib=size(checkpoints) / KIB,
                files=len(files),
                **conditions(torch.device("cpu")),
            )
        )


def resident_memory() -> int:
    """Bytes of this process that are in memory; Linux."""
    pages = Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    """How many handles this process has; Linux."""
    return len(list(Path("/proc/self/fd").iterdir()))


def size(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def settings(epochs: int, log_dir: str, pictures: int) -> Settings:
    return Settings.complete(
        {
            "model": MODEL,
            "dataset": "shapes10",
            "max_epochs": epochs,
            "batch_size": 50,
            "augment": True,
            "accelerator": "cpu",
            "pictures_every": pictures,
            "log_dir": log_dir,
        }
    )


def train(epochs: int, log_dir: str, images: int, pictures: int = PICTURES) -> list[Row]:
    """Train, and measure after each epoch; with a tenth as many images to validate by."""
    meter = Meter()

    def make_trainer(*given: Any) -> lightning.Trainer:
        trainer = build.make_trainer(*given)
        trainer.callbacks.append(meter)  # type: ignore[attr-defined]
        return trainer

    with (
        patch.object(Shapes10DataModule, "train_size", images),
        patch.object(Shapes10DataModule, "val_size", images // 10),
        patch("ansnet.training.run.make_trainer", make_trainer),
    ):
        run.train(settings(epochs, log_dir, pictures))
    return meter.rows


def slope(rows: Sequence[Row], name: str) -> float:
    """By how much a figure grows an epoch: the line of least squares through the second half."""
    late = rows[len(rows) // 2 : -1]
    epochs = torch.tensor([row.epoch for row in late], dtype=torch.float64)
    values = torch.tensor([float(getattr(row, name)) for row in late], dtype=torch.float64)
    epochs -= epochs.mean()
    return float((epochs * values).sum() / epochs.square().sum())


def report(rows: Sequence[Row]) -> str:
    """The figures after the first epoch, half of them, and the last, and the slope after that."""
    shown = [rows[0], rows[len(rows) // 2], rows[-1]]
    lines = [
        f"{'after epoch':<18}" + "".join(f"{row.epoch:>10}" for row in shown) + "   an epoch since"
    ]
    for name in ("memory_mib", "handles", "objects", "tensors", "log_kib", "checkpoints_kib", "files"):
        values = "".join(f"{getattr(row, name):>10,.6g}" for row in shown)
        lines.append(f"{name:<18}{values}{slope(rows, name):>17.4f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=200, help="default 200, 4 at least")
    parser.add_argument("--images", type=int, default=500, help="to train by, default 500")
    add_results(parser)
    options = parser.parse_args()
    with TemporaryDirectory() as log_dir:
        rows = train(options.epochs, log_dir, options.images)
    print(report(rows))
    file = options.results / "long_run-cpu.csv"
    file.unlink(missing_ok=True)
    append(rows, file)


if __name__ == "__main__":
    main()
