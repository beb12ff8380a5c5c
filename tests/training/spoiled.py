"""Trainings in which numbers go bad at a place that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansnet.compatibility import lightning
from ansnet.training import build
from ansnet.training.settings import Settings

Spoil = Callable[[Any, Any, Any, int], object]


class Spoiler(lightning.Callback):
    """Calls functions of trainer, module, batch and its number, before or after each batch."""

    def __init__(self, before: Spoil | None, after: Spoil | None, validating: Spoil | None) -> None:
        self.before, self.after, self.validating = before, after, validating

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        if self.before is not None:
            self.before(trainer, module, batch, index)

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int
    ) -> None:
        if self.after is not None:
            self.after(trainer, module, batch, index)

    def on_validation_batch_start(
        self, trainer: Any, module: Any, batch: Any, index: int, dataloader_idx: int = 0
    ) -> None:
        if self.validating is not None and dataloader_idx == 0:
            self.validating(trainer, module, batch, index)


def spoil(
    patch: pytest.MonkeyPatch,
    before: Spoil | None = None,
    after: Spoil | None = None,
    validating: Spoil | None = None,
) -> None:
    """Have the next runs spoiled, after what changes the training and before what looks at it."""
    own = build.changing

    def changing(settings: Settings) -> list[Any]:
        return [*own(settings), Spoiler(before, after, validating)]

    patch.setattr(build, "changing", changing)
