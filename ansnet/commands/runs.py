"""Which run is meant: a folder, a checkpoint, ``version_3`` or ``last``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ansnet.commands.mistake import Mistake, shortened
from ansnet.training.settings import RESUMABLE


class NoRunError(Mistake):
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
    check_name(run, log_dir)
    if Path(run).is_file():
        return Path(run)
    if run == "last" and not Path(run).exists():
        return in_folder(last_saved(log_dir, ["last.ckpt"]), best)
    return in_folder(only_folder(run, log_dir), best)


def find_resumable(run: str, log_dir: Path) -> Path:
    """The checkpoint that a run goes on from: within its epoch, or else that of the last one.

    Args:
        run: as of `find_checkpoint`.
        log_dir: where runs are recorded.

    Raises:
        NoRunError: as its docstring says.
    """
    check_name(run, log_dir)
    if Path(run).is_file() or run.endswith(".ckpt"):  # or it is missed under its own name
        return Path(run)
    if run == "last" and not Path(run).exists():
        folder = last_saved(log_dir, RESUMABLE)
    else:
        folder = only_folder(run, log_dir)
        folder = folder.parent if folder.name == "checkpoints" else folder
    found = [path for name in RESUMABLE if (path := folder / "checkpoints" / name).is_file()]
    if not found:
        raise NoRunError(f"{folder} holds no checkpoint to go on from; train anew")
    return found[0]


def last_saved(log_dir: Path, names: Sequence[str]) -> Path:
    """The folder of the run whose checkpoint, of one of these names, is the newest.

    Raises:
        NoRunError: there is none.
    """
    checkpoints = [path for name in names for path in log_dir.glob(f"*/*/checkpoints/{name}")]
    if not checkpoints:
        raise NoRunError(f"no run in {log_dir} has a checkpoint; train one, or name another --log-dir")
    return max(checkpoints, key=lambda path: path.stat().st_mtime).parent.parent


def check_name(run: str, log_dir: Path) -> None:
    """Refuse what no file can be named.

    Raises:
        NoRunError: saying why.
    """
    for place in (run, log_dir, log_dir / run):
        try:
            Path(place).stat()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it cannot be the name of a file"
            what = f"--log-dir {log_dir}" if place is log_dir else f"RUN {run}"
            raise NoRunError(f"{shortened(what)}: {reason}; name another") from error


def find_runs(names: Sequence[str], log_dir: Path) -> list[Path]:
    """The folders of recorded runs, whether they have checkpoints or not, each once.

    Args:
        names: of each a folder, a file in it or in its ``checkpoints/``, its name in ``log_dir``, as
            ``vgg7/version_3``, or ``version_3`` if there is one such; a pattern of such names, as
            ``vgg7/version_*``; or ``last``, the run that was recorded last.
        log_dir: where runs are recorded.

    Raises:
        NoRunError: there is none, or more than one, or no record in the folder.
    """
    found = {folder.resolve(): folder for name in names for folder in matching(name, log_dir)}
    return list(found.values())


def matching(name: str, log_dir: Path) -> list[Path]:
    """The folders that one name stands for."""
    check_name(name, log_dir)
    path = Path(name)
    if path.is_file():
        folder = path.parent
        return [recorded(folder.parent if folder.name == "checkpoints" else folder)]
    if name == "last" and not path.exists():
        tables = sorted(log_dir.glob("**/metrics.csv"), key=lambda table: table.stat().st_mtime)
        if not tables:
            raise NoRunError(f"no run is recorded in {log_dir}; train one, or name another --log-dir")
        return [tables[-1].parent]
    if any(character in name for character in "*?["):
        # the shell has expanded what it could
        found = [each for each in sorted(log_dir.glob(name)) if (each / "metrics.csv").is_file()]
        if not found:
            raise NoRunError(f"no run in {log_dir} is named like {name!r}; name another --log-dir")
        return found
    return [recorded(only_folder(name, log_dir))]


def only_folder(run: str, log_dir: Path) -> Path:
    """The one folder that a name stands for."""
    found = [folder for folder in (Path(run), log_dir / run) if folder.is_dir()]
    found = found[:1] or sorted(folder for folder in log_dir.glob(f"*/{run}") if folder.is_dir())
    if not found:
        raise NoRunError(
            f"there is no run {run!r}, neither as a path nor in {log_dir}; name a folder, a "
            "checkpoint, version_3 or last"
        )
    if len(found) > 1:
        names = ", ".join(str(folder) for folder in found)
        raise NoRunError(f"there are {len(found)} runs {run!r}: {names}; name one of them")
    return found[0]


def recorded(folder: Path) -> Path:
    """The folder, if a run has recorded itself in it."""
    if (folder / "metrics.csv").is_file():
        return folder
    inside = len(list(folder.glob("*/metrics.csv")))
    advice = f"; it holds {inside} runs, name them: {folder}/*" if inside else "; name a run's folder"
    raise NoRunError(f"{folder} holds no metrics.csv, which a run leaves{advice}")


def in_folder(folder: Path, best: bool) -> Path:
    """The checkpoint of the last epoch, or of the best, in a run's folder."""
    found = list((folder / "checkpoints").glob("best-*.ckpt" if best else "last.ckpt"))
    if not found:
        kind = "the best" if best else "the last"
        raise NoRunError(f"{folder} holds no checkpoint of {kind} epoch; name a run that was trained")
    # of two best ones, in a run that was killed between them, the later is the better
    return max(found, key=lambda path: path.stat().st_mtime)
