"""Public Functions of other packages under the battery, each failing row with how it was judged::

    python benchmarks/in_the_wild.py --environment FOLDER  # installs the packages there; runs them all
    python benchmarks/in_the_wild.py --only entmax         # in this environment
    python benchmarks/in_the_wild.py --show --record > docs/in_the_wild.md  # the page of what is there

What is tried, and the judgements, stand in ``wild/``, a file a package, with the package's version.
Each package has a process of its own, since importing some of them changes torch for the others. Exit
code 1 where a row fails that was not judged, or one passes that was judged to fail. It takes half an
hour and is no part of CI. Added to ``checks/in_the_wild.csv`` is a row for each Function and judgement.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import venv
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from ansnet.testing import Report, Result
from ansnet.testing.battery import check_apart
from check_once import processor_time
from measure import add_results, check_there
from results import Conditions, append, conditions, read
from summary import markdown
from wild.entry import Judgement, Wild

WILD = Path(__file__).parent / "wild"
SHARED = {"__init__", "entry", "causes"}  # files of no package
# what the packages are installed beside; ansnet.testing itself needs torch alone
BASE = ("torch==2.14.1", "torchvision==0.29.1", "numpy==2.4.6", "scipy==1.17.1", "setuptools<81")


TRANSFORMATIONS = {
    "forward mode",
    "jacobian",
    "hessian",
    "vmap",
    "per sample gradients",
    "gradient through vmap",
    "compiled transformations",
}


@dataclass(frozen=True, kw_only=True)
class Row(Conditions):
    """A line of the CSV: one judgement of one Function.

    Attributes:
        function: ``module:Function``.
        passed, failed, not_applicable: rows of its report.
        seconds: of processor time that the check took.
        verdict: "defect", "by design" or "false alarm"; None where no row failed.
        why: what a user suffers, or why it is meant so.
        capabilities: the rows that fail for that reason.
    """

    package: str
    version: str
    function: str
    passed: int
    failed: int
    not_applicable: int
    seconds: float
    verdict: str | None
    why: str | None
    capabilities: str | None


def packages() -> list[str]:
    """The files in ``wild/``, each named as a package."""
    return sorted(file.stem for file in WILD.glob("*.py") if file.stem not in SHARED)


def distribution(name: str) -> str:
    """What a package's file pins: ``name==version``."""
    requirement: str = importlib.import_module(f"wild.{name}").REQUIREMENT
    return requirement


def tried(name: str) -> Iterator[tuple[Wild, Report, float]]:
    """The reports of a package's Functions, and the processor time that each took."""
    entries: list[Wild] = importlib.import_module(f"wild.{name}").functions()
    for entry in entries:
        started = processor_time()
        report = check_apart(
            entry.function,
            entry.reference,
            entry.samples,
            derivative=entry.derivative,
            backend="aot_eager",
            **entry.options,
        )
        yield entry, report, processor_time() - started


def unexpected(entry: Wild, report: Report) -> list[str]:
    """What was not judged as it is: failing rows without a judgement, and the other way round."""
    failing = {row.capability for row in report.failures}
    news = [
        f"{row.capability}: not judged: {' '.join(row.detail.split())[:400]}"
        for row in report.failures
        if entry.judgement(row.capability) is None
    ]
    return news + [f"{name}: judged, but does not fail" for name in entry.judged if name not in failing]


def rows_of(package: str, entry: Wild, report: Report, seconds: float) -> list[Row]:
    """One row for each judgement; one without where nothing fails."""
    reasons: dict[Judgement | None, list[str]] = {}
    for row in report.failures:
        reasons.setdefault(entry.judgement(row.capability), []).append(row.capability)
    counts = Counter(row.result for row in report.rows)
    name, _, number = distribution(package).partition("==")
    return [
        Row(
            package=name,
            version=number,
            function=entry.name,
            passed=counts[Result.PASS],
            failed=counts[Result.FAIL],
            not_applicable=counts[Result.NOT_APPLICABLE],
            seconds=round(seconds, 2),
            verdict=judgement.verdict if judgement else None,
            why=judgement.why if judgement else None,
            capabilities=", ".join(capabilities) or None,
            **conditions(torch.device("cpu")),
        )
        for judgement, capabilities in (reasons or {None: []}).items()
    ]


def run(package: str, file: Path) -> bool:
    """Try the Functions of a package in this process; False where something was not as judged."""
    requirement = distribution(package)
    name, _, number = requirement.partition("==")
    try:
        installed = version(name)
    except PackageNotFoundError:
        installed = "nothing"
    if installed != number:
        print(f"{package}: {requirement} is not installed (there is {installed}): left out", flush=True)
        return True
    good = True
    for entry, report, seconds in tried(package):
        print(f"{entry.name}: {report.counts}, {seconds:.1f} s", flush=True)
        for line in unexpected(entry, report):
            print(f"    {line}", flush=True)
            good = False
        append(rows_of(package, entry, report, seconds), file)
    return good


def environment(folder: Path) -> Path:
    """Make a virtual environment with all the packages, if it is not there; its Python.

    Each is installed without what it asks for, since not all of that is needed for the Functions, and
    together it does not fit into one environment.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    wanted = [distribution(name) for name in packages()]
    for name in packages():
        wanted += getattr(importlib.import_module(f"wild.{name}"), "NEEDS", ())
    pip = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *BASE], check=True)
    for requirement in dict.fromkeys(wanted):
        subprocess.run([*pip, "--no-deps", requirement], check=True)
    return python


def last_runs(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each Function's last run, which have the day and the time that it took in common."""
    last: dict[str, list[Row]] = {}
    for row in rows:
        run = last.get(row.function)
        if run and (run[0].date, run[0].seconds) == (row.date, row.seconds):
            run.append(row)
        else:
            last[row.function] = [row]
    return last


def of_transformations(row: Row) -> bool:
    """Whether all that fails asks for `torch.func`, `vmap` or forward mode."""
    return bool(row.capabilities) and set(str(row.capabilities).split(", ")) <= TRANSFORMATIONS


def page(rows: list[Row]) -> str:
    """What was found in the last runs, as a page of the docs."""
    by_package: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.package.lower()):
        by_package.setdefault(f"{row.package} {row.version}", []).append(row)
    others = [row for row in rows if row.verdict == "defect" and not of_transformations(row)]
    only_old = {row.function for row in rows if row.verdict == "defect"}
    only_old -= {row.function for row in rows if row.failed and not of_transformations(row)}
    false_alarms = sum(row.verdict == "false alarm" for row in rows)
    where = rows[0]
    return PAGE.format(
        functions=len({row.function for row in rows}),
        packages=len(by_package),
        only_old=len(only_old),
        with_others=len({row.function for row in others}),
        packages_with_others=len({row.package for row in others}),
        sound=len({row.function for row in rows if not row.failed}),
        false_alarms=false_alarms,
        torch=where.torch,
        python=where.python,
        table=markdown(
            ["package", "Function", "rows passed, failed, n/a", "what fails"],
            [line for name, of_package in by_package.items() for line in lines(name, of_package)],
        ),
    )


PAGE = """\
# In the wild

`ansnet.testing` was run on **{functions} public `torch.autograd.Function`s of {packages} packages**,
with torch {torch} and Python {python} on a CPU. Each row that failed was looked at by hand once, and
judged:

- *defect*: a user of the Function suffers, as the sentence says. Many are of one kind: PyTorch has
  grown (`torch.func`, forward mode, `torch.compile`), and nobody has asked the Function to follow.
  Others are numbers that are wrong in silence.
- *by design*: the package means it so.
- *false alarm*: the harness is wrong. There are **{false_alarms}**; those that were found were mended.

{sound} of the Functions pass every row that makes sense for them. Of {only_old} all that fails asks
for `torch.func`, `vmap` or forward mode, for which they were not written. {with_others}, of
{packages_with_others} packages, have a defect besides. None of this says that a package is bad: these
are working Functions of people who publish their work, tried in more ways than they are used.

Written by `python benchmarks/in_the_wild.py --show --record > docs/in_the_wild.md` from what
`python benchmarks/in_the_wild.py --environment FOLDER --record` ran; not by hand. The samples,
references and judgements are in [`benchmarks/wild/`](../benchmarks/wild), a file a package; what each
row asks is in [capabilities.md](capabilities.md).

{table}"""


def lines(package: str, rows: list[Row]) -> list[list[str]]:
    """Of the table: a line for each judgement, the package and the Function in the first of theirs."""
    shown, table = set(), []
    for index, row in enumerate(rows):
        first = row.function not in shown
        shown.add(row.function)
        what = f"*{row.verdict}*: {row.why} ({row.capabilities})" if row.failed else "nothing"
        name = row.function.partition(":")[2]
        counts = f"{row.passed}, {row.failed}, {row.not_applicable}"
        cells = [f"`{name}`", counts] if first else ["", ""]
        table.append(["" if index else f"**{package}**", *cells, what.replace("|", "\\|")])
    return table


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", nargs="+", choices=packages(), metavar="PACKAGE", help="these packages"
    )
    parser.add_argument(
        "--environment", type=Path, metavar="FOLDER", help="make a virtual environment, and run in it"
    )
    add_results(parser)
    parser.add_argument("--show", action="store_true", help="print the page of what is there")
    options = parser.parse_args()
    file = options.results / "checks" / "in_the_wild.csv"
    if options.show:
        check_there(parser, file)
        rows = [row for run in last_runs(read(file, Row)).values() for row in run]
        if unjudged := {row.function for row in rows if row.capabilities and not row.verdict}:
            parser.error(f"rows that fail are not judged, of {', '.join(sorted(unjudged))}")
        print(page(rows))
        return 0
    names = options.only or packages()
    python = environment(options.environment) if options.environment else Path(sys.executable)
    if len(names) == 1 and not options.environment:
        warnings.simplefilter("ignore")
        return 0 if run(names[0], file) else 1
    command = [str(python), __file__, "--results", str(options.results), "--only"]
    search = os.pathsep.join([str(WILD.parent.parent), os.environ.get("PYTHONPATH", "")])
    codes = {
        name: subprocess.run([*command, name], env={**os.environ, "PYTHONPATH": search}).returncode
        for name in names
    }
    wrong = [name for name, code in codes.items() if code]
    if wrong:
        print(f"not as judged: {', '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
