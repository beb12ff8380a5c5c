"""A trainer that is only pretended, for callbacks that are tested beside it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

EPOCH = {
    "train/loss": torch.tensor(1.5),
    "train/accuracy": torch.tensor(0.25),
    "val/loss": torch.tensor(2.0),
    "val/accuracy": torch.tensor(0.125),
    "images_per_second": torch.tensor(1234.4),
}


class Clock:
    """Of seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


class Logger:
    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, figures: dict[str, float], step: int) -> None:
        self.rows.append((step, figures))


def pretended(**state: Any) -> Any:
    """A trainer in the middle of its training, and whatever else the test says of it."""
    defaults: dict[str, Any] = {
        "current_epoch": 0,
        "max_epochs": 10,
        "global_step": 0,
        "world_size": 1,
        "is_last_batch": False,
        "is_global_zero": True,
        "callback_metrics": EPOCH,
        "optimizers": [SimpleNamespace(param_groups=[{"lr": 0.5}, {"lr": 32.0}])],
        "loggers": [],
        "state": SimpleNamespace(fn="fit"),
    }
    return SimpleNamespace(**{**defaults, **state})


def batch(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(size, 3, 1, 1), torch.zeros(size, dtype=torch.int64)
