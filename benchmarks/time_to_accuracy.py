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

import torch

from ansnet.training.memory import keep_freed_memory
from measure import RESULTS
from results import place
from runs import Run, append, carry_out

OURS = "--model vgg7"
PLAIN = (
    "--model vgg7 --ops torch --compile none --optimizer adam --lr 5e-4 --batch-size 64 "
    "--schedule constant --no-test-time-flip"
)


def last_epochs(runs: Sequence[Run]) -> list[Run]:
    """The last row of each seed's."""
    return list({run.seed: run for run in sorted(runs, key=lambda run: run.epoch)}.values())


def seconds_to(accuracy: float, runs: Sequence[Run]) -> float | None:
    """Median over the seeds of the training time to an accuracy; None if a seed did not reach it."""
    times = []
    for seed in {run.seed for run in runs}:
        reached = [r.training_seconds for r in runs if r.seed == seed and r.val_accuracy >= accuracy]
        if not reached:
            return None
        times.append(min(reached))
    return median(times)


def comparison(ours: Sequence[Run], plain: Sequence[Run]) -> str:
    """Who took how long, in words."""
    last = last_epochs(ours)
    accuracy, seconds = mean(r.val_accuracy for r in last), median(r.training_seconds for r in last)
    lines = [
        f"ansnet: {accuracy:.2%} after {last[0].epoch} epochs and {seconds:.0f} s of training "
        f"(mean and median of {len(last)} seeds, {min(r.val_accuracy for r in last):.2%} at the least)"
    ]
    other = seconds_to(accuracy, plain)
    if other is None:
        best, all_seconds = max(r.val_accuracy for r in plain), last_epochs(plain)[0].training_seconds
        lines.append(
            f"torch.nn with Adam: not reached in {max(r.epoch for r in plain)} epochs and "
            f"{all_seconds:.0f} s; {best:.2%} at the most; time less than ×{seconds / all_seconds:.2f}"
        )
    else:
        lines.append(f"torch.nn with Adam: reached after {other:.0f} s; time ×{seconds / other:.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", help="as train.py's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of ours")
    parser.add_argument("--plain-seeds", type=int, nargs="+", default=[0], help="of plain PyTorch")
    parser.add_argument("--plain-epochs", type=int, default=6, help="default 6")
    parser.add_argument("--results", type=Path, default=RESULTS / "runs", help="where the CSV goes")
    parser.add_argument("--log-dir", type=Path, help="keep the runs' own records here")
    options = parser.parse_args()
    keep_freed_memory()  # before the first of them, so that all have it
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    file = place(options.results, "time_to_accuracy", device, "float32")
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
