"""``python -m ansnet scan PACKAGE``."""

from __future__ import annotations

import os
import shlex
import sys
import textwrap
import time
from argparse import BooleanOptionalAction, Namespace
from collections.abc import Collection, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansnet.commands.backend import add_backend, check_backend
from ansnet.commands.check import add_only, chosen
from ansnet.commands.mistake import Mistake
from ansnet.commands.output import add_output, check_output, check_place, kept_clean, write
from ansnet.commands.plain import PlainParser, seconds

if TYPE_CHECKING:
    from ansnet.scanning.files import Package
    from ansnet.scanning.source import Found
    from ansnet.scanning.trial import Trial

EPILOG = """
examples:
  python -m ansnet scan mypackage
  python -m ansnet scan src/mypackage --no-check
  python -m ansnet scan mypackage --write tests/test_functions.py --junit report.xml

Each torch.autograd.Function is found in the source, also an indirect one, and one in a function. It is
imported and tried in a process of its own: if its forward runs on one of the samples that can be
guessed from its parameters, it is checked on it, without a reference. What is told of a guessed sample
may be for the sample's sake: look before you believe it.

exit code: 0 if nothing that was checked fails, 1 if something does, 2 for wrong input
"""
WIDTH = 100


def make_parser() -> PlainParser:
    parser = PlainParser(
        prog="python -m ansnet scan",
        description="Find the torch.autograd.Functions of a package, try each, and write a test file.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "package", metavar="PACKAGE", help="its name, if it is installed or here; or a folder or a file"
    )
    parser.add_argument(
        "--check",
        action=BooleanOptionalAction,
        default=True,
        help="check those that can be tried; otherwise only find samples for them",
    )
    parser.add_argument(
        "--try",
        action=BooleanOptionalAction,
        default=True,
        dest="attempt",
        help="import and try; otherwise only read the source",
    )
    add_only(parser)
    parser.add_argument("--write", metavar="FILE", help="write a test file for all of them")
    parser.add_argument("--force", action="store_true", help="write it also over one that is there")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=60.0,
        metavar="SECONDS",
        help="that an import, the search for a sample, or a capability may take (default: 60)",
    )
    add_output(parser)
    add_backend(parser, "aot_eager")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Search the package that the command line names, and return the exit code."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        check_output(given)
        check_written(given)
        return scan(given)
    except Mistake as mistake:
        parser.error(f"{mistake}; see {parser.prog} --help")


def check_written(parsed: Namespace) -> None:
    """Refuse a file for the tests that is there, or that cannot be written.

    Raises:
        Mistake: saying why not.
    """
    if not parsed.write:
        return
    file = Path(parsed.write)
    if file.suffix != ".py":
        raise Mistake(f"--write {file}: it is a file of tests; name one that ends in .py")
    check_place("--write", file)
    if file.exists() and not parsed.force:
        raise Mistake(f"--write {file}: there is a file; name another, or overwrite it by --force")


def check_tried(only: Collection[str]) -> None:
    """Refuse what cannot be tried here, where there is no reference.

    Raises:
        Mistake: all that was chosen compares with a reference.
    """
    from ansnet.testing.capabilities import NEED_REFERENCE

    if only and NEED_REFERENCE.issuperset(only):
        raise Mistake(
            f"--only: nothing could be tried: {', '.join(only)} cannot be without a reference, which a "
            "scan has not; choose others, as gradcheck"
        )


def scan(parsed: Namespace) -> int:
    """Print what is found, Function by Function, and return the exit code.

    Raises:
        Mistake: the input is wrong.
    """
    from ansnet.files import write_text
    from ansnet.scanning.files import NoPackageError, locate
    from ansnet.scanning.skeleton import skeleton
    from ansnet.scanning.source import search

    try:
        package = locate(parsed.package)
    except NoPackageError as error:
        raise Mistake(str(error)) from None
    only = tuple(chosen(parsed.only)) if parsed.only else ()
    check_tried(only)
    if parsed.attempt and parsed.check:
        check_backend(parsed.backend)
    with kept_clean(parsed) as stdout:
        found, unread = search(package)
        print(f"{package.name}: {counted(len(found), 'Function')} in {counted_files(found)}")
        for file, reason in unread.items():
            print(f"{shown(file)} cannot be read: {reason}")
        since = time.monotonic()
        trials = []
        for trial in tried(package, found, parsed, only):
            trials.append(trial)
            print(told(trial), flush=True)
        print(summary(trials, time.monotonic() - since, parsed))
        if parsed.write and trials:
            write_text(
                parsed.write, skeleton(package, trials, command_of(parsed), only, parsed.backend)
            )
            print(f"written: {parsed.write}; run it by: python -m pytest {parsed.write}")
            if not can_be_imported(package):
                print(f"before that let Python find {package.name}, as by: pip install -e .")
        if parsed.json or parsed.junit:
            from ansnet.testing.exchange import Timed

            reports = [
                Timed(f"{trial.found.module}:{trial.found.name}", trial.report, trial.seconds)
                for trial in trials
                if trial.report is not None
            ]
            write(parsed, stdout, as_json(package, trials), reports)
    return int(any(trial.report is not None and trial.report.failures for trial in trials))


def tried(
    package: Package, found: Sequence[Found], parsed: Namespace, only: tuple[str, ...]
) -> Iterator[Trial]:
    """What comes of each Function."""
    from ansnet.scanning.trial import Options, Trial, trials

    if not parsed.attempt:
        yield from map(Trial, found)
        return
    options = Options(
        package.root,
        parsed.check,
        parsed.timeout,
        parsed.backend,
        only,
        {name: file for file, name in package.files},
    )
    yield from trials(found, options)


def told(trial: Trial) -> str:
    """A Function in a few lines: where, how it is written, and what came of it."""
    found = trial.found
    lines = [f"{shown(found.file)}:{found.line}  {found.signature}", f"    {found.style}"]
    if trial.samples:
        lines.append("    tried on " + "; ".join(f"({sample})" for sample in trial.samples))
    if trial.report is not None:
        lines.append(f"    {trial.report.counts}")
        for explanation in trial.report.causes:
            cause, names = explanation.cause, ", ".join(explanation.capabilities)
            lines.append(f"    {cause.severity.value}: {cause.sentence} ({names})")
    if trial.reason:
        lines.append(f"    not tried: {trial.reason}")
    return "\n".join(
        textwrap.fill(line, WIDTH, subsequent_indent=" " * 6, break_on_hyphens=False) for line in lines
    )


def can_be_imported(package: Package) -> bool:
    """Whether Python finds it from the current folder, and not only where it lies, as in ``src/``."""
    here = package.root.resolve() == Path.cwd()
    return here or find_spec(package.files[0][1].split(".")[0]) is not None


def summary(trials: Sequence[Trial], took: float, parsed: Namespace) -> str:
    """How many could be tried, and what to do with the others."""
    if not trials:
        return "there is nothing to try"
    samples = sum(bool(trial.samples) for trial in trials)
    checked = [trial.report for trial in trials if trial.report is not None]
    failing = sum(bool(report.failures) for report in checked)
    line = f"{samples} of {counted(len(trials), 'Function')} could be tried"
    if checked:
        line += f", {failing} fail{'s' if failing == 1 else ''}; {took:.0f} s"
    if not parsed.attempt:
        line = f"{counted(len(trials), 'Function')}, none tried"
    lines = [line]
    if not parsed.write and parsed.attempt:
        lines.append("a test file for all of them: --write tests/test_functions.py")
    return "\n".join(lines)


def counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def counted_files(found: Sequence[Found]) -> str:
    return counted(len({each.file for each in found}), "file")


def shown(file: Path) -> str:
    """A path as short as it can be."""
    here = Path.cwd()
    if file.is_relative_to(here):
        return str(file.relative_to(here))
    for place in map(Path, sys.path):
        if place != Path() and file.is_relative_to(place):
            return str(file.relative_to(place))
    return str(file)


def command_of(parsed: Namespace) -> str:
    """The command by which the file is written."""
    return f"python -m ansnet scan {shlex.quote(parsed.package)} --write {shlex.quote(parsed.write)}"


def as_json(package: Package, trials: Sequence[Trial]) -> dict[str, Any]:
    """What ``--json`` writes."""
    from ansnet.testing.exchange import Timed, as_json

    return {
        "package": package.name,
        "functions": [
            {
                "module": trial.found.module,
                "name": trial.found.name,
                "file": os.fspath(trial.found.file),
                "line": trial.found.line,
                "setup_context": trial.found.has_setup_context,
                "has": list(trial.found.has),
                "parameters": None
                if trial.found.parameters is None
                else [vars(each) for each in trial.found.parameters],
                "samples": list(trial.samples),
                "not_tried": trial.reason or None,
                "check": None
                if trial.report is None
                else as_json(
                    Timed(f"{trial.found.module}:{trial.found.name}", trial.report, trial.seconds)
                ),
            }
            for trial in trials
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
