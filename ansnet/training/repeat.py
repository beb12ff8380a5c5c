"""The same run from several seeds: how much of a figure is luck."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from statistics import mean
from typing import Any

from ansnet.compatibility import lightning
from ansnet.files import whole, why
from ansnet.training.interruption import Interrupted, Interruption
from ansnet.training.progress import readable_duration
from ansnet.training.recording import UnwrittenError
from ansnet.training.report import Result
from ansnet.training.run import train
from ansnet.training.settings import LARGEST_SEED, Settings, SettingsError
from ansnet.training.spread import deviation
from ansnet.training.stopped import TrainingStopped


@dataclass(frozen=True)
class Figures:
    """What a run had arrived at after its last epoch, or what several had on the whole.

    Attributes:
        run: the seed, or ``"mean"``, ``"deviation"`` (of the sample, over n − 1), ``"best"`` or
            ``"worst"``.
        val_accuracy_tta: with test-time augmentation; None if it was not asked for.
        training_seconds: without validation.
        log_dir: where the run is recorded; empty for several.
    """

    run: str
    val_accuracy: float
    val_accuracy_tta: float | None
    val_loss: float
    train_accuracy: float
    train_loss: float
    training_seconds: float
    log_dir: str = ""


NUMBERS = [field.name for field in fields(Figures) if field.name not in ("run", "log_dir")]
LOWER_IS_BETTER = {"val_loss", "train_loss", "training_seconds"}


@dataclass(frozen=True)
class Repetition:
    """The figures of several runs, and the CSV that holds them.

    Attributes:
        diverged: the seeds of the runs that diverged (`ansnet.training.divergence`).
    """

    runs: list[Figures]
    table: Path
    diverged: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return 1 if self.diverged else 0

    def statistics(self) -> list[Figures]:
        """Mean, deviation, best and worst, figure by figure; of a single run there are none."""
        if len(self.runs) < 2:
            return []
        return [
            Figures(statistic, *(self.describe(statistic, name) for name in NUMBERS))
            for statistic in ("mean", "deviation", "best", "worst")
        ]

    def describe(self, statistic: str, name: str) -> Any:
        values = [getattr(run, name) for run in self.runs]
        if None in values:
            return None
        if statistic == "mean":
            return mean(values)
        if statistic == "deviation":
            return deviation(values)
        lowest = (statistic == "best") == (name in LOWER_IS_BETTER)
        return min(values) if lowest else max(values)

    def write(self) -> None:
        """Write the CSV: a line a run, then the statistics."""
        with (
            whole(self.table) as unfinished,
            unfinished.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, list(asdict(self.runs[0])))
            writer.writeheader()
            writer.writerows(asdict(row) for row in [*self.runs, *self.statistics()])

    def __str__(self) -> str:
        lines = [f"{'seed':<12}{'val accuracy':>14}{'test-time augmented':>22}{'training':>12}"]
        for row in [*self.runs, *self.statistics()]:
            augmented = "–" if row.val_accuracy_tta is None else f"{row.val_accuracy_tta:.2%}"
            duration = readable_duration(row.training_seconds)
            lines.append(f"{row.run:<12}{row.val_accuracy:>14.2%}{augmented:>22}{duration:>12}")
        if self.diverged:
            lines.append(f"diverged, and counted: seed {', '.join(self.diverged)}")
        return "\n".join([*lines, f"after the last epoch of each run; recorded in {self.table}"])


def repeat(settings: Settings, times: int, interruption: Interruption | None = None) -> Repetition:
    """Train from several seeds, each run recorded as by `train`.

    The CSV is ``repeat_<first run's folder>.csv`` beside the runs' folders. It is written after every
    run, so that what is done is kept if a later run is broken off.

    Args:
        settings: of the first run; each further one takes the next seed.
        times: number of runs.
        interruption: see `train`.

    Returns:
        Their figures after the last epoch.

    Raises:
        SettingsError: a checkpoint is to be resumed, which has a seed already; or as `train`.
        UnwrittenError: the table cannot be written; or as `train`.
        Interrupted: see `train`; also between two runs.
        TrainingStopped: a run cannot go on; the later ones are not begun, since a mean over the others
            would leave out the worst.
        DataError, UnknownModelError, NotationError: see `train`.
    """
    if settings.resume is not None:
        raise SettingsError(
            f"--repeat {times} cannot go on from --resume {settings.resume}, which is of one seed; "
            "leave one of them out"
        )
    last = settings.seed + times - 1
    if last > LARGEST_SEED:
        raise SettingsError(
            f"--repeat {times} from --seed {settings.seed} ends with seed {last}, and the largest is "
            f"{LARGEST_SEED}; begin with another"
        )
    runs: list[Figures] = []
    diverged: list[str] = []
    for seed in range(settings.seed, settings.seed + times):
        try:
            result = train(replace(settings, seed=seed), interruption)
        except Interrupted as interrupted:
            is_begun = interrupted.checkpoint is not None
            seeds = f"after {seed}" if is_begun else f"from {seed} on"
            interrupted.left = left_out(seeds, times, runs)
            raise
        except TrainingStopped as stopped:
            stopped.details["seed"] = f"{seed}"
            if runs:
                stopped.details["seed"] += f"; those from {runs[0].run} on are in {table_of(runs)}"
            raise
        # found once, the same for all
        settings = replace(settings, lr=result.lr, precision=result.precision, find_lr=False)
        runs.append(last_figures(str(seed), result))
        if result.exit_code:
            diverged.append(str(seed))
        repetition = Repetition(runs, table_of(runs), diverged)
        try:
            lightning.utilities.rank_zero_only(repetition.write)()
        except OSError as error:
            raise UnwrittenError(
                f"{repetition.table} cannot be written: {why(error)}; the runs are recorded"
            ) from error
        lightning.utilities.rank_zero_only(print)(result, end="\n\n")
        if interruption is not None and interruption.asked() and seed < last:  # by its last step
            ended = interruption.end()
            ended.is_complete, ended.log_dir = True, result.log_dir
            ended.left = left_out(f"after {seed}", times, runs)
            raise ended
    return repetition


def left_out(seeds: str, times: int, runs: list[Figures]) -> str:
    """What of a repetition is not done if it ends early, and where that is which is."""
    if not runs:
        return f"the seeds {seeds}, and the table of --repeat {times}"
    done = runs[0].run if len(runs) == 1 else f"{runs[0].run} to {runs[-1].run}"
    return f"the seeds {seeds}; the table has seed {done}: {table_of(runs)}"


def table_of(runs: list[Figures]) -> Path:
    """The CSV of runs, beside the folder of the first."""
    first = Path(runs[0].log_dir)
    return first.with_name(f"repeat_{first.name}.csv")


def last_figures(run: str, result: Result) -> Figures:
    last = result.history[-1]
    return Figures(
        run,
        last.val_accuracy,
        last.val_accuracy_tta,
        last.val_loss,
        last.train_accuracy,
        last.train_loss,
        last.training_seconds or 0.0,
        str(result.log_dir),
    )
