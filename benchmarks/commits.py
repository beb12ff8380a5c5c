"""Training steps of this checkout beside those of another commit, to see what a change costs::

    python benchmarks/commits.py 5d8eaf1
    python benchmarks/commits.py HEAD~3 --models vgg7bn --rounds 20

Each is a process of its own, which takes a step when it is told to, while the other waits; the step is
that of `training_step.py`. Printed, and added to ``checks/commits.csv``, is the speed of this
checkout divided by the commit's, the median and quartiles over the rounds: above 1 where the change
made it faster.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ansnet.models import create_model, list_models
from ansnet.modules import SoftmaxCrossEntropy
from measure import Call, alternate, make_parser, prepare, quartiles
from results import MILLISECOND, Conditions, append, conditions
from training_step import make_contender


@dataclass(frozen=True, kw_only=True)
class Row(Conditions):
    """A line of the CSV: a network's step at two commits.

    Attributes:
        name: of the model.
        speed: the time at the other commit divided by that at this one.
    """

    name: str
    commit: str
    against: str
    batch_size: int
    median_ms: float
    against_ms: float
    speed: float
    speed_lower: float
    speed_upper: float
    rounds: int


ROOT = Path(__file__).resolve().parent.parent
SERVE = "--serve"


def main() -> None:
    parser = make_parser(__doc__, rounds=20)
    parser.add_argument("commit", help="what git calls it")
    parser.add_argument("--models", nargs="+", choices=list_models(), default=list_models())
    parser.add_argument(SERVE, action="store_true", help="take steps as told on stdin")
    options = parser.parse_args()
    device = prepare(options)
    if options.serve:
        serve(options.models[0], options.batch_size)
        return
    where = conditions(torch.device("cpu"))
    machine = f"{where['device']}, {where['cpu_capability']}, {where['threads']} threads"
    print(f"{machine}, torch {where['torch']}")
    rows = []
    for model in options.models:
        arguments = [*sys.argv[1:], "--models", model, SERVE]
        with ExitStack() as stack:
            other = stack.enter_context(checkout(options.commit))
            calls = [stack.enter_context(server(root, arguments)) for root in (ROOT, other)]
            here, there = alternate(calls, options.rounds, device)
        ratios = [theirs / ours for ours, theirs in zip(here, there, strict=True)]
        lower, median, upper = quartiles(ratios)
        row = Row(
            name=model,
            commit=named("HEAD"),
            against=named(options.commit),
            batch_size=options.batch_size,
            median_ms=quartiles(here).median / MILLISECOND,
            against_ms=quartiles(there).median / MILLISECOND,
            speed=median,
            speed_lower=lower,
            speed_upper=upper,
            rounds=options.rounds,
            **where,
        )
        times = f"{row.median_ms:.1f} ms for {row.against_ms:.1f} ms at {row.against}"
        print(f"{model}: {times}, speed × {median:.3f} ({lower:.3f} to {upper:.3f})", flush=True)
        rows.append(row)
    append(rows, options.results / "checks" / "commits.csv")


def named(commit: str) -> str:
    """A commit's short name; with + where files that git tracks are not as in it, if it is HEAD."""
    run = partial(subprocess.run, cwd=ROOT, check=True, capture_output=True, text=True)
    name = run(["git", "rev-parse", "--short", commit]).stdout.strip()
    changed = commit == "HEAD" and run(["git", "status", "--porcelain", "-uno"]).stdout
    return f"{name}+" if changed else name


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The files of a commit, in a folder that lasts as long as the context."""
    with TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit, "ansnet"], cwd=ROOT, check=True, capture_output=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)


@contextmanager
def server(root: Path, arguments: list[str], **environment: str) -> Iterator[Call]:
    """A call that has a process with the ansnet under ``root`` take a step, and waits for it.

    Args:
        root: of a checkout.
        arguments: of this script.
        **environment: variables that are set for the process.
    """
    with subprocess.Popen(
        [sys.executable, __file__, *arguments],
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told, answers = process.stdin, process.stdout

        def step() -> None:
            told.write("step\n")
            told.flush()
            if not answers.readline():
                raise SystemExit(f"the process with {root} has ended")

        yield step


def serve(model: str, batch_size: int) -> None:
    """Take a step for each line that comes in, and answer with a line."""
    batch = torch.randn(batch_size, 3, 32, 32), torch.randint(10, (batch_size,))
    contender = make_contender(
        "ansnet", create_model(model), SoftmaxCrossEntropy(), batch, "channels_last", "float32"
    )
    for _ in sys.stdin:
        contender.call()
        print("done", flush=True)


if __name__ == "__main__":
    main()
