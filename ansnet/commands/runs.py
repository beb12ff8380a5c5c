"""Which run is meant: a folder, a checkpoint, ``version_3`` or ``last``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansnet.training.classifier import ImageClassifier


class NoRunError(ValueError):
    """There is no such run, or more than one; the message says what was looked for, and where."""


def find_checkpoint(run: str, log_dir: Path, best: bool = False) -> Path:
    """The checkpoint of a run.

    Args:
        run: a checkpoint; the folder of a run; its name in ``log_dir``, as ``vgg7/version_3``, or
            ``version_3`` if there is one such; or ``last``, the run whose checkpoint is the newest.
        log_dir: where runs are recorded.
        best: that of the best epoch, and not of the last.

    Raises:
        NoRunError: as its docstring says.
    """
    if Path(run).is_file():
        return Path(run)
    if run == "last" and not Path(run).exists():
        checkpoints = sorted(
            log_dir.glob("*/*/checkpoints/*.ckpt"), key=lambda path: path.stat().st_mtime
        )
        if not checkpoints:
            raise NoRunError(
                f"no run in {log_dir} has a checkpoint; train one, or name another --log-dir"
            )
        return in_folder(checkpoints[-1].parent.parent, best)
    folders = [folder for folder in (Path(run), log_dir / run) if folder.is_dir()]
    folders = folders[:1] or sorted(folder for folder in log_dir.glob(f"*/{run}") if folder.is_dir())
    if not folders:
        raise NoRunError(
            f"there is no run {run!r}, neither as a path nor in {log_dir}; name a folder, a "
            "checkpoint, version_3 or last"
        )
    if len(folders) > 1:
        names = ", ".join(str(folder) for folder in folders)
        raise NoRunError(f"there are {len(folders)} runs {run!r}: {names}; name one of them")
    return in_folder(folders[0], best)


def in_folder(folder: Path, best: bool) -> Path:
    """The checkpoint of the last epoch, or of the best, in a run's folder."""
    found = sorted((folder / "checkpoints").glob("best-*.ckpt" if best else "last.ckpt"))
    if not found:
        kind = "the best" if best else "the last"
        raise NoRunError(f"{folder} holds no checkpoint of {kind} epoch; name a run that was trained")
    return found[-1]


def load_classifier(checkpoint: Path) -> ImageClassifier:
    """What a run has trained, on the CPU.

    Raises:
        NoRunError: the file is no checkpoint of a run, or holds a network that no notation describes.
    """
    from ansnet.training.classifier import ImageClassifier
    from ansnet.training.resume import NO_CHECKPOINT

    try:
        classifier = ImageClassifier.load_from_checkpoint(
            checkpoint, map_location="cpu", weights_only=True
        )
    except (*NO_CHECKPOINT, TypeError) as error:
        raise NoRunError(f"{checkpoint}: this is no checkpoint of a run; name one") from error
    except ValueError as error:
        raise NoRunError(f"{checkpoint}: {error}") from error
    assert isinstance(classifier, ImageClassifier)
    return classifier
