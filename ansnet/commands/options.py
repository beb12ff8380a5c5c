"""The options that several commands have, each declared once."""

from __future__ import annotations

from argparse import Action
from collections.abc import Callable, Iterable
from pathlib import Path

from ansnet.commands.completion import complete_runs
from ansnet.commands.parser import Mistake, OneLineParser
from ansnet.files import check_file, try_folder, why
from ansnet.training.settings import DATA_DIR_VARIABLE

RUN = "a folder, a checkpoint, version_3, or last: the run that was trained last"


def add_run(parser: OneLineParser, several: bool = False) -> None:
    """The run that is meant, for `ansnet.commands.runs`, and where runs are looked for."""
    if several:
        run = parser.add_argument("runs", nargs="+", metavar="RUN", help=RUN)
    else:
        run = parser.add_argument("run", metavar="RUN", help=RUN)
    add_completer(run, complete_runs)
    add_log_dir(parser)


def add_run_option(parser: OneLineParser, otherwise: str) -> None:
    """The run that is meant, where a command does without one, and where runs are looked for."""
    run = parser.add_argument(
        "--run", metavar="RUN", help=f"{RUN}; or a file of weights (otherwise {otherwise})"
    )
    add_completer(run, complete_runs)
    add_log_dir(parser)


def add_log_dir(parser: OneLineParser) -> None:
    parser.add_argument(
        "--log-dir", type=Path, default=Path("lightning_logs"), metavar="DIR", help="where runs are"
    )


def add_completer(action: Action, completer: Callable[..., Iterable[str]]) -> None:
    """Have a shell offer what is meant by an argument; see `ansnet.commands.completion`."""
    action.completer = completer  # type: ignore[attr-defined]


def add_best(parser: OneLineParser) -> None:
    parser.add_argument("--best", action="store_true", help="the best epoch's weights, not the last's")


def add_data_dir(parser: OneLineParser) -> None:
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        help=f"folder with the data (otherwise ${DATA_DIR_VARIABLE}, the run's own, or data)",
    )


def add_json(parser: OneLineParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def add_picture(parser: OneLineParser, default: str, shows: str) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(default),
        metavar="FILE",
        help=f"where the picture goes, a PNG of {shows}; what is there is overwritten",
    )


def check_picture(file: Path) -> None:
    """Refuse a place where no picture can be written, before anything is computed.

    Raises:
        Mistake: saying why not.
    """
    if file.suffix != ".png":
        raise Mistake(f"--out {file}: the picture is a PNG; name a file that ends in .png")
    check_out(file)


def check_out(file: Path) -> None:
    """Refuse a file that cannot be written: its folder, or a file there, may not, or the disk is full.

    Raises:
        Mistake: saying why not.
    """
    try:
        if not file.parent.is_dir():
            what = "is a file" if file.parent.exists() else "does not exist"
            raise Mistake(f"--out {file}: the folder {file.parent} {what}; name another, or make it")
        check_file(file)
        try_folder(file.parent, file.name)
    except OSError as error:
        raise unwritten(file, error) from error


def unwritten(file: Path, error: OSError) -> Mistake:
    """What is said of a file that cannot be written."""
    return Mistake(f"--out {file}: it cannot be written: {why(error)}")
