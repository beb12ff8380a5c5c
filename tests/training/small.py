"""Trainings that are over at once: few images, on a CPU, nothing compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansnet.data import Shapes10DataModule
from ansnet.training.settings import Settings


@contextmanager
def few_shapes(train: int, val: int) -> Iterator[pytest.MonkeyPatch]:
    """So many images of shapes10, and a patch for what else is to be small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shapes10DataModule, "train_size", train)
        patch.setattr(Shapes10DataModule, "val_size", val)
        yield patch


def small_settings(log_dir: Path, **given: Any) -> Settings:
    """Settings of a training on shapes10, in batches of 50, recorded in ``log_dir``."""
    chosen = {
        "model": "CR(4), M(8), L(10)",
        "dataset": "shapes10",
        "max_epochs": 2,
        "batch_size": 50,
        "accelerator": "cpu",
        "devices": 1,
        "channels_last": False,
        "compile": "none",
        "seed": 0,
        "ops": "ansnet",
        "log_dir": str(log_dir),
    }
    return Settings.complete({**chosen, **given})
