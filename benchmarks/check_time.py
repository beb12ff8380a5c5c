"""What a check by `ansnet.testing` takes, beside that of another commit::

    python benchmarks/check_time.py 54255c4                     # ansnet's operations
    python benchmarks/check_time.py 54255c4 --packages entmax   # and the Functions of packages in wild/

In turn, a new process of each version checks one Function twice, with the backend aot_eager. *Cold* is
the processor time of that process until the first report: with what is imported. *Warm* is that of the
second check. Printed, and added to ``checks/check_time.csv``, are the medians over the rounds, and what
this checkout takes divided by what the commit takes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

from commits import ROOT, checkout, named
from in_the_wild import packages
from measure import add_results
from results import Conditions, append, conditions

ONCE = str(Path(__file__).with_name("check_once.py"))
OPERATIONS = ("relu", "linear", "conv2d")


@dataclass(frozen=True, kw_only=True)
class Row(Conditions):
    """A line of the CSV: a check of one Function at two commits, in seconds of processor time."""

    name: str
    commit: str
    against: str
    cold: float
    cold_against: float
    warm: float
    warm_against: float
    cold_ratio: float
    warm_ratio: float
    rounds: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit", help="what git calls it")
    parser.add_argument("--packages", nargs="+", choices=packages(), default=[], metavar="PACKAGE")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    add_results(parser)
    options = parser.parse_args()
    names = [*OPERATIONS, *(name for package in options.packages for name in functions(package))]
    rows = []
    with checkout(options.commit) as other:
        for name in names:
            row = compared(name, options.commit, other, options.rounds)
            print(
                f"{name}: cold {row.cold:.1f} s for {row.cold_against:.1f} s, "
                f"warm {row.warm:.1f} s for {row.warm_against:.1f} s",
                flush=True,
            )
            rows.append(row)
            append([row], options.results / "checks" / "check_time.csv")
    print(f"medians: cold {median(row.cold for row in rows):.1f} s", end=" ")
    print(f"for {median(row.cold_against for row in rows):.1f} s,", end=" ")
    print(f"warm {median(row.warm for row in rows):.1f} s", end=" ")
    print(f"for {median(row.warm_against for row in rows):.1f} s")


def compared(name: str, commit: str, other: Path, rounds: int) -> Row:
    """The medians of one Function, the two versions in turn."""
    here, there = [], []
    for _ in range(rounds):
        here.append(in_a_process(ROOT, name))
        there.append(in_a_process(other, name))
    cold, warm = (median(both) for both in zip(*here, strict=True))
    cold_against, warm_against = (median(both) for both in zip(*there, strict=True))
    return Row(
        name=name,
        commit=named("HEAD"),
        against=named(commit),
        cold=round(cold, 2),
        cold_against=round(cold_against, 2),
        warm=round(warm, 2),
        warm_against=round(warm_against, 2),
        cold_ratio=round(median(a[0] / b[0] for a, b in zip(here, there, strict=True)), 3),
        warm_ratio=round(median(a[1] / b[1] for a, b in zip(here, there, strict=True)), 3),
        rounds=rounds,
        **conditions(torch.device("cpu")),
    )


def in_a_process(root: Path, name: str) -> tuple[float, float]:
    """What the ansnet under ``root`` takes, cold and warm."""
    done = subprocess.run(
        [sys.executable, ONCE, name],
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
        capture_output=True,
        text=True,
    )
    cold, warm = json.loads(done.stdout.splitlines()[-1])
    return cold, warm


def functions(package: str) -> list[str]:
    """Those of a package that have a reference, and no derivative, which older versions do not take."""
    entries = importlib.import_module(f"wild.{package}").functions()
    return [f"{package}/{entry.name}" for entry in entries if entry.reference and not entry.derivative]


if __name__ == "__main__":
    main()
