"""A training that cannot go on: what is said of it, and what it leaves in order.

It ends with exit code 1 and a few lines, which say what happened, what has been kept, and how to go
on from there. What was trained until then stays recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from ansnet.compatibility import lightning
from ansnet.training.history import draw_curves, read_history
from ansnet.training.recipes import OPTIMIZER_DEFAULTS
from ansnet.training.resume import Checkpoint, read_checkpoint
from ansnet.training.settings import Settings, SettingsError

# as torch/csrc/autograd/engine.cpp has it
RETURNED = re.compile(r"Function '(\w+?)(?:Backward\d*)?' returned nan values in its (\d+)th output")


class TrainingStopped(Exception):
    """A training that cannot go on.

    Args:
        what: happened, in a line.
        details: further lines, by the word that each begins with.

    Attributes:
        is_told: by this process; of several one shows the lines.
        exit_code: of this process, 1; but 0 if another has launched it, whose own code is the
            training's. That one is killed when a process that it has launched fails.
    """

    def __init__(self, what: str, details: Mapping[str, str] | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.details = dict(details or {})
        self.is_told, self.exit_code = True, 1

    def __str__(self) -> str:
        details = [f"{word:<12} {line}" for word, line in self.details.items()]
        return "\n".join([f"stopped: {self.what}", *details])


def gradient_that_is_no_number(error: BaseException) -> tuple[str, int] | None:
    """Of an error of PyTorch's anomaly detection the operation, and which of its inputs' gradients.

    None of another error.
    """
    found = RETURNED.match(str(error)) if isinstance(error, RuntimeError) else None
    return None if found is None else (found[1], int(found[2]))


@contextmanager
def closing(settings: Settings, trainer: lightning.Trainer) -> Iterator[None]:
    """What is trained within may be stopped: then the curves are drawn, and it is said how to go on.

    Args:
        settings: of the run.
        trainer: that trains.

    Raises:
        TrainingStopped: as it was raised within, with what was kept added to it.
    """
    try:
        yield
    except TrainingStopped as stopped:
        folder = Path(str(trainer.log_dir))
        if trainer.is_global_zero:
            draw(folder, title(settings))
            stopped.details |= {"recorded in": str(folder), **way_on(settings, folder)}
        trainer.strategy.barrier()  # before another process ends, and with it perhaps this one
        stopped.is_told = trainer.is_global_zero
        environment = getattr(trainer.strategy, "cluster_environment", None)
        by_lightning = type(environment).__name__ == "LightningEnvironment"  # not torchrun, nor SLURM
        stopped.exit_code = 0 if by_lightning and trainer.local_rank > 0 else 1
        raise


def title(settings: Settings) -> str:
    """Of the picture of a run's curves."""
    return f"{settings.model} on {settings.dataset}"


def draw(folder: Path, title: str) -> None:
    """Draw the curves of the epochs that were completed; of none there is no picture."""
    table = folder / "metrics.csv"
    history = read_history(table) if table.is_file() else []
    if any(epoch.epoch > 0 for epoch in history):
        draw_curves(history, title, folder / "curves.png")


def way_on(settings: Settings, folder: Path) -> dict[str, str]:
    """The last checkpoint, and the command that goes on from it with a lower rate."""
    files = [*folder.glob("checkpoints/*.ckpt")]
    if settings.resume is not None:
        files.append(Path(settings.resume))
    rate = f"--lr {lower_rate(settings):g}"
    read = [checkpoint for file in files if (checkpoint := checkpoint_in(file)) is not None]
    if not read:
        return {"checkpoint": "none yet", "begin again": f"with a lower rate, as {rate}"}
    last = max(read, key=lambda checkpoint: (checkpoint.steps, "last" in Path(checkpoint.path).name))
    return {
        "checkpoint": str(last),
        "go on": f"python -m ansnet train --resume {quote(last.path)} {rate}",
    }


def checkpoint_in(file: Path) -> Checkpoint | None:
    """A checkpoint; None if it is none that can be gone on from."""
    try:
        return read_checkpoint(str(file))
    except SettingsError:
        return None


def lower_rate(settings: Settings) -> float:
    """A tenth of the rate, or what the optimizer has by default where that is lower, to two digits."""
    usual: float = OPTIMIZER_DEFAULTS[settings.optimizer]["lr"]
    return float(f"{min(settings.lr / 10, usual):.2g}")
