"""What TensorBoard's HPARAMS tab lists of a run: its settings, and the figures that it is sorted by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansnet.compatibility import lightning
from ansnet.training.board.logger import GROUPED

# All runs have the same ones: TensorBoard takes the columns from any of them.
FIGURES = (
    "val/accuracy",
    "val/accuracy_tta",
    "val/loss",
    "train/accuracy",
    "train/loss",
    GROUPED["training_seconds"],
)
PLACES = ("data_dir", "mirror", "log_dir", "resume")  # which tell nothing of the training
SWITCH = {False: "off", True: "on"}  # TensorBoard would show 0.0000 and 1.0000


class Listed(lightning.Callback):
    """Has a run listed, from when its training begins.

    Of each of `FIGURES` it shows the last value of the curve of that name: the final one, also of a run
    that has been resumed, and of one that was broken off what it had arrived at.

    Args:
        settings: by name; those that are numbers, words, or on or off are listed.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = {
            name: SWITCH[value] if isinstance(value, bool) else value
            for name, value in settings.items()
            if name not in PLACES and isinstance(value, bool | int | float | str)
        }

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        experiment, start, _ = self.summaries()
        write(trainer, experiment, start)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        *_, end = self.summaries()
        write(trainer, end)

    def summaries(self) -> tuple[Any, Any, Any]:
        """Of the names of settings and figures, of the settings, and that the training has ended."""
        from torch.utils.tensorboard.summary import hparams

        switched = [name for name, value in self.settings.items() if value in SWITCH.values()]
        choices = {name: list(SWITCH.values()) for name in switched}
        names, settings, end = hparams(self.settings, dict.fromkeys(FIGURES), choices)
        return names, settings, end


def write(trainer: lightning.Trainer, *summaries: Any) -> None:
    for logger in trainer.loggers:
        if trainer.is_global_zero and isinstance(logger, lightning.loggers.TensorBoardLogger):
            for summary in summaries:
                logger.experiment._get_file_writer().add_summary(summary)
