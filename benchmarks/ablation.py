"""What each trick of VGG7BN's recipe is worth: the recipe with that one left out, several seeds::

    python benchmarks/ablation.py --data-dir data
    python benchmarks/ablation.py --only cutout warm-up --seeds 0 1 --max-epochs 4
    python benchmarks/ablation.py --show

Runs that the CSV holds already are not carried out again, so an ablation may be broken off and taken
up. Test-time averaging needs no run of its own: each gives its accuracy with and without.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

import torch

from measure import RESULTS
from results import place
from runs import Run, append, carry_out, read
from summary import markdown

RECIPE = "--model vgg7bn"
WITHOUT = {
    "nothing": "",
    "Muon": "--optimizer sgd --lr 0.1 --momentum 0.9 --nesterov --weight-decay 5e-4",
    "falling learning rate": "--schedule constant",
    "warm-up": "--warmup 0",
    "label smoothing": "--label-smoothing 0",
    "augmentation": "--no-augment",
    "alternating flips": "--flip random",
    "reflected borders": "--border black",
    "cutout": "--cutout 0",
}


def table(runs: Sequence[Run]) -> str:
    """A trick a line: accuracy after the last epoch without it, and how far it falls behind."""
    lines = []
    reference: dict[int, float] = {}
    for name, options in {(run.name, run.options): None for run in runs}:
        of_name = [run for run in runs if run.name == name]
        last = [run for run in of_name if run.epoch == max(other.epoch for other in of_name)]
        accuracies = [run.val_accuracy for run in last]
        if name == "nothing":
            reference = {run.seed: run.val_accuracy for run in last}
        gains = [reference[run.seed] - run.val_accuracy for run in last if run.seed in reference]
        averaged = [run.val_accuracy_tta for run in last if run.val_accuracy_tta is not None]
        lines.append(
            [
                name,
                f"`{options}`",
                spread(accuracies),
                f"{100 * mean(gains):+.2f}" if gains and name != "nothing" else "–",
                spread(averaged) if averaged else "–",
                str(len(last)),
            ]
        )
    header = ["without", "options", "accuracy, %", "worth", "with mirror images, %", "seeds"]
    return markdown(header, lines)


def spread(accuracies: Sequence[float]) -> str:
    deviation = f" ± {100 * stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    return f"{100 * mean(accuracies):.2f}{deviation}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", help="as train.py's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", choices=WITHOUT, default=list(WITHOUT), metavar="TRICK")
    parser.add_argument("--max-epochs", type=int, default=10, help="default 10, the recipe's")
    parser.add_argument("--results", type=Path, default=RESULTS / "runs", help="where the CSV goes")
    parser.add_argument("--log-dir", type=Path, help="keep the runs' own records here")
    parser.add_argument("--show", action="store_true", help="print the table, and run nothing")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    file = place(options.results, f"ablation-{options.max_epochs}_epochs", device, "float32")
    done = {(run.name, run.seed) for run in read(file)}
    with TemporaryDirectory() as temporary:
        for seed in options.seeds:
            for name in options.only:
                if (name, seed) in done or options.show:
                    continue
                words = f"{RECIPE} --max-epochs {options.max_epochs} {WITHOUT[name]}".rstrip()
                log_dir = str(options.log_dir or temporary)
                append(carry_out(name, words, seed, options.data_dir, log_dir), file)
    print(table(read(file)))


if __name__ == "__main__":
    main()
