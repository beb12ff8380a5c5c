"""What keeps a run from being recorded: found out before the training, or told with what is left."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from shlex import quote
from types import TracebackType

from ansnet.compatibility import lightning
from ansnet.files import failed_to_write, free_space, try_folder, why
from ansnet.training.classifier import ImageClassifier
from ansnet.training.recipes import numbers_kept
from ansnet.training.settings import RESUMABLE, Settings, SettingsError

# checkpoints: the best, the best before, the last, one within an epoch, and the one being written
AT_ONCE = 5
BESIDE = 1_000_000  # bytes, of the pictures and tables of a short run
LONGEST = "notation/version_9999/checkpoints/best-epoch=9999-val_accuracy=0.1234.ckpt"


class UnwrittenError(RuntimeError):
    """A run that could not be recorded any more; the message says why, and what is left of it."""


def check_log_dir(log_dir: str) -> None:
    """Refuse a folder that a run cannot be recorded in, and make none.

    Raises:
        SettingsError: saying why not.
    """
    try:
        try_folder(log_dir, LONGEST)
    except NotADirectoryError as error:
        raise SettingsError(
            f"--log-dir {log_dir}: {error.filename} is no folder; name another"
        ) from error
    except OSError as error:
        raise SettingsError(f"--log-dir {log_dir}: {why(error)}") from error


def check_space(settings: Settings, classifier: ImageClassifier) -> None:
    """Refuse a disk on which there is no room for the checkpoints.

    Raises:
        SettingsError: saying how much is needed, and how much there is.
    """
    needed = AT_ONCE * checkpoint_size(settings, classifier) + BESIDE
    free = free_space(settings.log_dir)
    if free < needed:
        raise SettingsError(
            f"--log-dir {settings.log_dir}: there are {megabytes(free)} free, and the run's "
            f"checkpoints need {megabytes(needed)}; make room there, or name a place on another disk"
        )


def checkpoint_size(settings: Settings, classifier: ImageClassifier) -> int:
    """Bytes of a checkpoint's tensors: the network's, the optimizer's for each weight, and averages."""
    state: int = sum(tensor.nbytes for tensor in classifier.state_dict().values())
    weights: int = sum(parameter.nbytes for parameter in classifier.parameters())
    moments = numbers_kept(settings.optimizer, settings.momentum)
    averages = 0 if settings.ema is None else 1
    return state * (1 + averages) + weights * moments


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


class Recording:
    """What is done within is recorded by a trainer; where that fails, it is said what is left.

    Of several processes the first one records. It may be entered again.

    Attributes:
        trainer: None until there is one.

    Raises:
        UnwrittenError: a file cannot be written, or the run's folder is gone.
    """

    trainer: lightning.Trainer | None = None

    def __enter__(self) -> Recording:
        self.hook = threading.excepthook
        threading.excepthook = self.in_thread
        return self

    def in_thread(self, failed: threading.ExceptHookArgs) -> None:
        """Leave what TensorBoard's thread could not write to be raised when it is next written to."""
        is_of_tensorboard = type(failed.thread).__module__.startswith("tensorboard.")
        if not (is_of_tensorboard and isinstance(failed.exc_value, OSError)):
            self.hook(failed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        threading.excepthook = self.hook
        if self.trainer is None or not self.trainer.is_global_zero or error is None:
            return
        if isinstance(error, UnwrittenError | ConnectionError):  # nobody reads what is printed
            return
        failure = error if isinstance(error, OSError) else failed_to_write(error)
        if failure is not None and failure.errno is not None:
            raise UnwrittenError(self.told(failure)) from error

    def told(self, failure: OSError) -> str:
        """Why, and what is left, in one line."""
        assert self.trainer is not None
        folder = Path(str(self.trainer.loggers[0].log_dir))
        if not folder.is_dir():
            return f"{folder}, where the run is recorded, has been removed; train anew"
        line = f"{os.fsdecode(failure.filename or folder)} cannot be written: {why(failure)}"
        kept = last_checkpoint(folder)
        if kept is None:
            return f"{line}; there is no checkpoint yet"
        return f"{line}; go on from the last whole checkpoint by --resume {quote(str(kept))}"


def last_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that a run goes on from: of those with their names, each whole, the newest."""
    there = [path for name in RESUMABLE if (path := folder / "checkpoints" / name).is_file()]
    return max(there, key=lambda path: path.stat().st_mtime_ns, default=None)
