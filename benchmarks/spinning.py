"""How OpenMP's threads are to wait for each other: alone on the machine, and beside other work::

    python benchmarks/spinning.py
    python benchmarks/spinning.py --models vgg7 --beside 1 --rounds 10

Threads that have come to the end of their part of a loop spin until the others have, as long as it is
set when the OpenMP library is loaded. Beside other work the others may not be running at all. Each way
to wait is a process of its own, which takes a training step when it is told to, while the others wait.
Printed, and added to ``checks/spinning.csv`` of the results, is how fast it is compared with the
library's own way, the median and quartiles over the rounds: above 1 where it is faster. Then
``--beside`` processes keep a core busy each, as another user's would, and it is measured again.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch

from ansnet.models import list_models
from commits import ROOT, SERVE, server
from measure import alternate, make_parser, prepare, quartiles
from results import MILLISECOND, Conditions, append, conditions

WAYS: dict[str, dict[str, str]] = {
    "the library's own": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    "100 spins": {"GOMP_SPINCOUNT": "100"},
    "1000 spins": {"GOMP_SPINCOUNT": "1000"},
    "10000 spins": {"GOMP_SPINCOUNT": "10000"},
    "100000 spins": {"GOMP_SPINCOUNT": "100000"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}


@dataclass(frozen=True, kw_only=True)
class Row(Conditions):
    """A line of the CSV: a network's step with one way to wait.

    Attributes:
        name: of the model.
        beside: how many other processes keep a core busy each.
        way: a key of `WAYS`.
        speed: the time of the library's own way divided by that of this one.
    """

    name: str
    beside: int
    way: str
    batch_size: int
    median_ms: float
    speed: float
    speed_lower: float
    speed_upper: float
    rounds: int


def main() -> None:
    parser = make_parser(__doc__, rounds=15)
    parser.add_argument("--models", nargs="+", choices=list_models(), default=list_models())
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="default all")
    parser.add_argument("--beside", type=int, default=1, help="busy processes, default 1")
    options = parser.parse_args()
    ways = list(dict.fromkeys([next(iter(WAYS)), *options.ways]))
    device = prepare(options)
    rows = []
    for model in options.models:
        arguments = ["HEAD", "--batch-size", str(options.batch_size), "--models", model, SERVE]
        with ExitStack() as stack:
            calls = [stack.enter_context(server(ROOT, arguments, **WAYS[way])) for way in ways]
            for beside in (0, options.beside):
                with busy(beside):
                    seconds = alternate(calls, options.rounds, device)
                for way, times in zip(ways, seconds, strict=True):
                    ratios = [own / each for own, each in zip(seconds[0], times, strict=True)]
                    lower, median, upper = quartiles(ratios)
                    row = Row(
                        name=model,
                        beside=beside,
                        way=way,
                        batch_size=options.batch_size,
                        median_ms=quartiles(times).median / MILLISECOND,
                        speed=median,
                        speed_lower=lower,
                        speed_upper=upper,
                        rounds=options.rounds,
                        **conditions(torch.device("cpu")),
                    )
                    rows.append(row)
                    print(
                        f"{model}, beside {beside}, {way}: {row.median_ms:.0f} ms, "
                        f"speed × {median:.3f} ({lower:.3f} to {upper:.3f})",
                        flush=True,
                    )
    append(rows, options.results / "checks" / "spinning.csv")


@contextmanager
def busy(number: int) -> Iterator[None]:
    """So many processes that each keep a core busy."""
    command = [sys.executable, "-c", "while True: pass"]
    # in a session of its own, to which Linux gives as much time as to all of ours together
    processes = [subprocess.Popen(command, start_new_session=True) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
