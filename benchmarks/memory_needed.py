"""How far `ansnet.training.memory_needed` is from the memory that runs have needed.

    python benchmarks/memory_needed.py                          # the three networks, 200 images a batch
    python benchmarks/memory_needed.py --models vgg7 --batch-sizes 100 400

Each run is a process of its own: a network of a few weights is trained first, so that all libraries are
loaded, and then two steps of the network in question. What it needed is the most that the process ever
had resident, less what it had before the network was made (``VmHWM`` and ``VmRSS`` of Linux's
``/proc/self/status``). It leaves ``results/checks/memory_needed.csv``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ansnet.training.memory_needed import needed
from ansnet.training.recipes import RECIPES
from ansnet.training.run import train
from ansnet.training.settings import Settings
from measure import RESULTS
from results import MIB, Conditions, append, conditions

STATUS = Path("/proc/self/status")


@dataclass(frozen=True, kw_only=True)
class Memory(Conditions):
    """A line of the table, in MiB.

    Attributes:
        least, estimate: what the run needs at least, and about, as ansnet has it.
        measured: what it needed.
        least_ratio, estimate_ratio: these divided by ``measured``.
    """

    model: str
    optimizer: str
    ema: float | None
    batch_size: int
    least: float
    estimate: float
    measured: float
    least_ratio: float
    estimate_ratio: float


def settings_of(
    model: str, batch_size: int, optimizer: str, ema: float | None, log_dir: str
) -> Settings:
    return Settings.complete(
        {
            "model": model,
            "dataset": "shapes10",
            "batch_size": batch_size,
            "max_epochs": 1,
            "limit_batches": 2,
            "optimizer": optimizer,
            "ema": ema,
            "accelerator": "cpu",
            "compile": "none",
            "precision": "32-true",
            "pictures_every": 0,
            "log_dir": log_dir,
        }
    )


def resident(name: str) -> int:
    """Bytes: ``VmRSS`` now, ``VmHWM`` at the most."""
    (line,) = (line for line in STATUS.read_text("ascii").splitlines() if line.startswith(name))
    return 1024 * int(line.split()[1])


def train_and_measure(model: str, batch_size: int, optimizer: str, ema: float | None) -> int:
    """Bytes that a training needs; in a process in which there was no other."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        train(settings_of("CR(2), M(16), L(10)", 2, optimizer, ema, folder))
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # forget the most there has been
        before = resident("VmRSS")
        train(settings_of(model, batch_size, optimizer, ema, folder))
        return resident("VmHWM") - before


def measure(model: str, batch_size: int, optimizer: str, ema: float | None) -> Memory:
    """A row, by a process of its own."""
    words = [sys.executable, __file__, "--alone", json.dumps([model, batch_size, optimizer, ema])]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    measured = int(done.stdout.splitlines()[-1])
    wanted = needed(settings_of(model, batch_size, optimizer, ema, "none"), 10)
    least, estimate = wanted.at_least(batch_size), wanted.about(batch_size)
    return Memory(
        model=model,
        optimizer=optimizer,
        ema=ema,
        batch_size=batch_size,
        least=least / MIB,
        estimate=estimate / MIB,
        measured=measured / MIB,
        least_ratio=least / measured,
        estimate_ratio=estimate / measured,
        **conditions(torch.device("cpu")),
    )


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=list(RECIPES), help="default: the three")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[200], help="default 200")
    parser.add_argument("--optimizers", nargs="+", default=["adam"], help="default adam")
    parser.add_argument("--ema", type=float, help="with averaged weights")
    parser.add_argument("--results", type=Path, default=RESULTS / "checks", help="where the CSV goes")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options: Any = parser.parse_args(words)
    if options.alone:
        print(train_and_measure(*json.loads(options.alone)))
        return
    for model in options.models:
        for optimizer in options.optimizers:
            for batch_size in options.batch_sizes:
                row = measure(model, batch_size, optimizer, options.ema)
                append([row], options.results / "memory_needed.csv")
                figures = f"{row.least:.0f} MiB at least, {row.estimate:.0f} about, {row.measured:.0f}"
                print(f"{model}, {optimizer}, batch {batch_size}: {figures} measured")


if __name__ == "__main__":
    main()
