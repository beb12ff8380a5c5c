"""Where the reports of `check` and `scan` go for other programs: ``--json`` and ``--junit``."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ansnet.commands.mistake import Mistake
from ansnet.files import check_file, try_folder, why, write_text

if TYPE_CHECKING:
    from ansnet.testing.exchange import Timed

STDOUT = "-"
FLAGS = ("json", "junit")


def add_output(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--json", metavar="FILE", help="write the report as JSON; to standard output, if FILE is -"
    )
    parser.add_argument(
        "--junit", metavar="FILE", help="write the report as JUnit's XML; to standard output, if -"
    )


def check_output(parsed: Namespace) -> None:
    """Refuse files that cannot be written, before anything is tried.

    Raises:
        Mistake: saying why not.
    """
    if parsed.json == parsed.junit == STDOUT:
        raise Mistake("--json - and --junit - would mix in standard output; give one of them a file")
    for flag in FLAGS:
        place = getattr(parsed, flag)
        if place not in (None, STDOUT):
            check_place(f"--{flag}", Path(place))


def check_place(flag: str, file: Path) -> None:
    """Refuse a file that cannot be written.

    Raises:
        Mistake: saying why not.
    """
    try:
        if not file.parent.is_dir():
            what = "is a file" if file.parent.exists() else "does not exist"
            raise Mistake(f"{flag} {file}: the folder {file.parent} {what}; name another, or make it")
        check_file(file)
        try_folder(file.parent, file.name)
    except OSError as error:
        raise Mistake(f"{flag} {file}: it cannot be written: {why(error)}") from error


@contextmanager
def kept_clean(parsed: Namespace) -> Iterator[IO[str]]:
    """Leave standard output to what is asked for by ``-``: all else is printed to standard error.

    Yields:
        The standard output.
    """
    stdout = sys.stdout
    if STDOUT not in (parsed.json, parsed.junit):
        yield stdout
        return
    with redirect_stdout(sys.stderr):
        yield stdout


def write(parsed: Namespace, stdout: IO[str], found: Any, reports: Sequence[Timed]) -> None:
    """Write what was asked for.

    Args:
        parsed: the command line.
        stdout: the standard output.
        found: what ``--json`` writes.
        reports: what ``--junit`` writes.
    """
    from ansnet.testing.exchange import junit

    texts: dict[str, Callable[[], str]] = {
        "json": lambda: json.dumps(found, indent=2, ensure_ascii=False) + "\n",
        "junit": lambda: junit(reports),
    }
    for flag, text in texts.items():
        place = getattr(parsed, flag)
        if place == STDOUT:
            stdout.write(text())
            stdout.flush()
        elif place is not None:
            write_text(Path(place), text())
