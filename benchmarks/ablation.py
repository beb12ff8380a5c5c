"""What each trick is worth to VGG7BN: a training by all of them with that one left out, several seeds::

    python benchmarks/ablation.py --data-dir data
    python benchmarks/ablation.py --only "without Muon" "with cutout" --seeds 0 1 2
    python benchmarks/ablation.py --show --record

Cutout is added to them instead. The recipe has all of them but alternating flips, which did not pay.
Runs that the CSV holds already are not carried out again, so an ablation may be broken off and taken
up; a CPU and CUDA, which calculate in another precision, have one each. Test-time augmentation needs
no run of its own: each gives its accuracy with and without.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory

import torch

from measure import add_results, check_there
from results import append, read
from runs import Run, carry_out
from summary import markdown

RECIPE = "--model vgg7bn"
ALL_TRICKS = "--flip alternating"
VARIANTS = {
    "all tricks": ALL_TRICKS,
    "without Muon": (
        f"{ALL_TRICKS} --optimizer sgd --lr 0.1 --momentum 0.9 --nesterov --weight-decay 5e-4"
    ),
    "without falling learning rate": f"{ALL_TRICKS} --schedule constant",
    "without warm-up": f"{ALL_TRICKS} --warmup 0",
    "without label smoothing": f"{ALL_TRICKS} --label-smoothing 0",
    "without augmentation": "--no-augment",
    "without alternating flips": "",
    "without reflected borders": f"{ALL_TRICKS} --border black",
    "without higher learning rate of biases": f"{ALL_TRICKS} --bias-lr-factor 1",
    "without identity initialisation": f"{ALL_TRICKS} --no-identity-init",
    "with cutout": f"{ALL_TRICKS} --cutout 8",
}


def table(runs: Sequence[Run]) -> str:
    """A variant a line: accuracy after the last epoch, and how far it differs, seed by seed."""
    last = {(run.name, run.options, run.seed): run for run in sorted(runs, key=lambda run: run.epoch)}
    by_all = {run.seed: run.val_accuracy for run in last.values() if run.name == "all tricks"}
    lines = []
    for name, options in dict.fromkeys((run.name, run.options) for run in runs):
        of_variant = [run for run in last.values() if (run.name, run.options) == (name, options)]
        change = [run.val_accuracy - by_all[run.seed] for run in of_variant if run.seed in by_all]
        augmented = [run.val_accuracy_tta for run in of_variant if run.val_accuracy_tta is not None]
        lines.append(
            [
                name,
                f"`{options}`",
                spread([run.val_accuracy for run in of_variant]),
                f"{100 * mean(change):+.2f}" if change and name != "all tricks" else "–",
                spread(augmented) if augmented else "–",
                str(len(of_variant)),
            ]
        )
    header = ["", "options", "accuracy, %", "change", "with mirror images, %", "seeds"]
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
    parser.add_argument(
        "--only", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="VARIANT"
    )
    parser.add_argument("--max-epochs", type=int, default=10, help="default 10, the recipe's")
    there = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=there, help=f"default {there}")
    add_results(parser)
    parser.add_argument("--log-dir", type=Path, help="keep the runs' own records here")
    parser.add_argument("--show", action="store_true", help="print the table, and run nothing")
    options = parser.parse_args()
    file = options.results / "runs" / f"ablation-{options.max_epochs}-epochs-{options.device}.csv"
    if options.show:
        check_there(parser, file)
    done = {(run.name, run.options, run.seed) for run in read(file, Run)}
    with TemporaryDirectory() as temporary:
        log_dir = str(options.log_dir or temporary)
        for seed, name in product(options.seeds, () if options.show else options.only):
            words = (
                f"{RECIPE} --accelerator {options.device} --max-epochs {options.max_epochs} "
                f"{VARIANTS[name]}"
            ).rstrip()
            if (name, words, seed) not in done:
                append(carry_out(name, words, seed, options.data_dir, log_dir), file)
    print(table(read(file, Run)))


if __name__ == "__main__":
    main()
