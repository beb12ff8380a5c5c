"""Training time to an accuracy: the fast recipe of VGG7, and plain PyTorch with Adam::

    python benchmarks/time_to_accuracy.py --data-dir data
    python benchmarks/time_to_accuracy.py --seeds 0 1 2 --plain-seeds 0

The other side is the same network of torch.nn layers, trained by Adam at a constant learning rate. It
is given what speeds it up: images from memory, channels-last, and the batch size and learning rate at
which it learned fastest of those tried (the notebook's recipe). The two take turns, a run each. What
is compared is the training time, without validation, until the end of the first epoch after which
plain PyTorch is at least as accurate as ours after its last.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

from ansnet.training.memory import keep_freed_memory
from measure import add_results
from results import append
from runs import Run, carry_out

OURS = "--model vgg7"
PLAIN = (
    "--model vgg7 --ops torch --compile none --optimizer adam --lr 5e-4 --batch-size 64 "
    "--schedule constant --warmup 0 --no-test-time-flip"
)


def last_epochs(runs: Sequence[Run]) -> list[Run]:
    """The last row of each seed's."""
    return list({run.seed: run for run in sorted(runs, key=lambda run: run.epoch)}.values())


def seconds_to(accuracy: float, runs: Sequence[Run]) -> float | None:
    """Median over the seeds of the training time to an accuracy; None if a seed did not reach it."""
    first: dict[int, float] = {}
    for run in sorted(runs, key=lambda run: run.epoch):
        if run.val_accuracy >= accuracy:
            first.setdefault(run.seed, run.training_seconds)
    return median(first.values()) if first.keys() == {run.seed for run in runs} else None


def comparison(ours: Sequence[Run], plain: Sequence[Run]) -> str:
    """Who took how long, in words."""
    last = last_epochs(ours)
    accuracy, seconds = mean(r.val_accuracy for r in last), median(r.training_seconds for r in last)
    others, their_last = seconds_to(accuracy, plain), last_epochs(plain)
    whole = median(run.training_seconds for run in their_last)
    if others is None:
        theirs = (
            f"not reached by every seed in {their_last[0].epoch} epochs and {whole:.0f} s, "
            f"{max(run.val_accuracy for run in plain):.2%} at the most; "
            f"time less than ×{seconds / whole:.2f}"
        )
    else:
        theirs = f"reached after {others:.0f} s; time ×{seconds / others:.2f}"
    return (
        f"ansnet: {accuracy:.2%} after {last[0].epoch} epochs and {seconds:.0f} s of training "
        f"(mean and median of {len(last)} seeds, "
        f"{min(run.val_accuracy for run in last):.2%} at the least)\n"
        f"torch.nn with Adam: {theirs}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", help="as train.py's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of ours")
    parser.add_argument("--plain-seeds", type=int, nargs="+", default=[0], help="of plain PyTorch")
    parser.add_argument("--plain-epochs", type=int, default=6, help="default 6")
    add_results(parser)
    parser.add_argument("--log-dir", type=Path, help="keep the runs' own records here")
    options = parser.parse_args()
    keep_freed_memory()  # before the first of them, so that all have it
    file = options.results / "runs" / "time_to_accuracy.csv"
    ours: list[Run] = []
    plain: list[Run] = []
    with TemporaryDirectory() as temporary:
        log_dir = str(options.log_dir or temporary)
        for our_seed, plain_seed in zip_longest(options.seeds, options.plain_seeds):
            for name, words, seed, runs in (
                ("ansnet", OURS, our_seed, ours),
                ("torch.nn", f"{PLAIN} --max-epochs {options.plain_epochs}", plain_seed, plain),
            ):
                if seed is not None:
                    new = carry_out(name, words, seed, options.data_dir, log_dir)
                    append(new, file)
                    runs += new
    print(comparison(ours, plain))


if __name__ == "__main__":
    main()
