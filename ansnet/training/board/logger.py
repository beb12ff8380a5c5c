"""TensorBoard's scalars in groups: it shows what has the same word before the ``/`` together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansnet.compatibility import lightning

# ``metrics.csv`` has the names on the left, and so have records of before
GROUPED = {
    "epoch": "schedule/epoch",
    "learning_rate": "schedule/learning_rate",
    "images_per_second": "speed/images_per_second",
    "images_per_second_step": "speed/images_per_second_step",
    "training_seconds": "speed/training_seconds",
}


class GroupedLogger(lightning.loggers.TensorBoardLogger):
    """Lightning's logger, with every scalar in a group: ``train``, ``val``, ``schedule``, ``speed``."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        super().log_metrics({GROUPED.get(name, name): value for name, value in metrics.items()}, step)
