"""The record of a run in ``metrics.csv``, and how a run that goes on takes up an earlier one's."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from ansnet.compatibility import lightning
from ansnet.files import copy, whole
from ansnet.training.history import read_rows, read_steps
from ansnet.training.settings import Settings

Trainer = lightning.Trainer
LightningModule = lightning.LightningModule

KEY = "record"  # of a checkpoint: what this file has to say in it
# what Lightning logs of an epoch after the checkpoint at its end has been saved
EPOCH = ("train/loss", "train/accuracy", "images_per_second", "training_seconds", "epoch")


class Table(lightning.loggers.CSVLogger):
    """Lightning's logger, whose ``metrics.csv`` is only ever added to, and counted.

    A new column is given to all rows by a new file, which takes the place of the old one when it is
    whole.
    """

    @property
    @lightning.loggers.logger.rank_zero_experiment  # type: ignore[attr-defined]
    def experiment(self) -> Any:
        if self._experiment is None:
            Path(self.root_dir).mkdir(parents=True, exist_ok=True)
            self._experiment = Writer(self.log_dir)
        return self._experiment

    def sync(self) -> int:
        """Have all rows on the disk, whatever happens next, and say how many there are."""
        self.save()
        writer: Writer = self.experiment
        if writer.rows:
            with Path(writer.metrics_file_path).open("rb") as file:
                os.fsync(file.fileno())
        return writer.rows


class Writer(lightning.loggers.csv_logs.ExperimentWriter):
    """Writes ``metrics.csv`` so that it holds whole rows, all that were saved, at any time."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self.rows = 0

    def log_metrics(self, metrics_dict: dict[str, float], step: int | None = None) -> None:
        super().log_metrics(metrics_dict, step)
        self.rows += 1

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        table = Path(self.metrics_file_path)
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        with whole(table) as new, new.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames)
            writer.writeheader()
            writer.writerows(rows)


class Record(lightning.Callback):
    """Has a checkpoint say what the run is, and what had been recorded of it; and goes on from that.

    In the checkpoint, under `KEY`: the run's ``settings``; the number of ``rows`` that ``metrics.csv``
    had, which are on the disk before the checkpoint is; what of the epoch is ``unwritten``, because
    Lightning logs it after the checkpoint at the epoch's end; and the sums that the epoch's ``means``
    are made of.

    A run that goes on is recorded in a folder of its own. It begins with the rows that the run before
    had at the checkpoint, and with the best checkpoint until then, which stays the best until a later
    epoch is better. Where one of them is missing, a line says so, and it begins with the checkpoint.

    Args:
        settings: of the run.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def on_save_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        progress: Any = trainer.fit_loop.epoch_progress.current
        unwritten = {}
        if progress.processed > progress.completed:  # at the end of an epoch
            known = trainer.logged_metrics
            unwritten = {name: float(known[name]) for name in EPOCH if name in known}
        means = {} if unwritten else means_of(trainer, module)
        if trainer.is_global_zero:  # which writes the checkpoint
            checkpoint[KEY] = {
                "settings": asdict(self.settings),
                "rows": max((table.sync() for table in tables(trainer)), default=0),
                "unwritten": unwritten,
                "means": means,
            }

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        # where the run has gone on with the validation, the last batch was not its own
        if "train/loss" not in trainer.callback_metrics:
            module.log_means("train", images=1)  # of a mean, which knows its images, it is not used

    def on_load_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        said = checkpoint.get(KEY, {})
        restore_means(trainer, module, said.get("means", {}))
        best: Any = trainer.checkpoint_callback
        state = checkpoint["callbacks"].setdefault(best.state_key, {})
        folder = Path(str(trainer.ckpt_path)).resolve().parent
        metrics_csv = folder.parent / "metrics.csv"
        named = state.get("best_model_path") or ("" if said else "best-*.ckpt")
        earlier_best = folder / Path(named).name if named else None  # none within the first epoch
        missing = [path for path in (earlier_best, metrics_csv) if path and not path.is_file()]
        if missing and trainer.is_global_zero:
            print(f"what it recorded before is not all there: there is no {missing[0]}")
        if metrics_csv not in missing:
            self.take_rows(trainer, metrics_csv, checkpoint)
        if earlier_best in missing:
            return
        # as it would be had the folder been this run's from the start
        state["dirpath"] = best.dirpath
        if earlier_best is not None:
            own_best = Path(best.dirpath) / earlier_best.name
            if trainer.is_global_zero:
                own_best.parent.mkdir(parents=True, exist_ok=True)
                copy(earlier_best, own_best)
            state["best_model_path"] = state["kth_best_model_path"] = str(own_best)
            state["best_k_models"] = {str(own_best): state["best_model_score"]}

    def take_rows(self, trainer: Trainer, metrics_csv: Path, checkpoint: dict[str, Any]) -> None:
        said, steps = checkpoint.get(KEY, {}), checkpoint["global_step"]
        # a checkpoint of an older ansnet does not say how many
        rows = read_rows(metrics_csv, said["rows"]) if said else read_steps(metrics_csv, steps)
        for step, figures in rows:
            log(trainer, figures, step)
        if said.get("unwritten"):
            log(trainer, said["unwritten"], steps - 1)


def tables(trainer: Trainer) -> list[Table]:
    return [logger for logger in trainer.loggers if isinstance(logger, Table)]


def log(trainer: Trainer, figures: Mapping[str, float], step: int) -> None:
    for logger in trainer.loggers:
        logger.log_metrics(dict(figures), step)


def means_of(trainer: Trainer, module: Any) -> dict[str, dict[str, Tensor]]:
    """The sums of a classifier's means over the epoch so far, those of all processes together."""
    return {
        name: {
            part: trainer.strategy.reduce(value.clone(), reduce_op="sum")
            for part, value in mean.metric_state.items()
        }
        for name, mean in module.train_means.named_children()
    }


def restore_means(trainer: Trainer, module: Any, means: Mapping[str, Mapping[str, Tensor]]) -> None:
    for name, sums in means.items():
        mean = module.train_means.get_submodule(name)
        mean._update_count = 1  # or it would warn that it has been told of nothing
        if trainer.is_global_zero:  # to whose sums the others' are added
            for part, value in sums.items():
                setattr(mean, part, value.to(mean.device))
