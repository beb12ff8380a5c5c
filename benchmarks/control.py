"""The losses of ansnet's network and of the same one of torch.nn layers, and how far they part::

    python benchmarks/control.py --data-dir data

Both start from the same weights and see the same images in the same order (``train.py --ops torch``).
In float64 they part by rounding alone. In float32, where Adam divides rounding by small gradients,
they are seen beside two runs of PyTorch's own layers that differ in the layout of memory.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch

from ansnet.compatibility import lightning
from ansnet.training.build import make_classifier, make_data
from measure import add_results
from results import Conditions, append, conditions
from runs import bare_trainer, complete
from summary import markdown

RECIPE = "--model vgg7 --optimizer adam --lr 5e-4 --batch-size 64 --schedule constant --warmup 0"
PAIRS = {
    "ansnet and torch, float64": (
        "--ops ansnet --precision 64-true",
        "--ops torch --precision 64-true",
    ),
    "ansnet and torch, float32": (
        "--ops ansnet --precision 32-true",
        "--ops torch --precision 32-true",
    ),
    "torch and torch in channels-first, float32": (
        "--ops torch --precision 32-true",
        "--ops torch --precision 32-true --no-channels-last",
    ),
}
SHOWN = (10, 20, 50, 100)


@dataclass(frozen=True, kw_only=True)
class Difference(Conditions):
    """After a step, the largest difference so far of the losses of two runs."""

    name: str
    options: str
    other_options: str
    seed: int
    step: int
    largest: float


class Losses(lightning.Callback):
    """Keeps the loss of every step, as precise as it is."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, *unused: Any
    ) -> None:
        self.values.append(outputs["loss"].item())


def losses(options: str, steps: int, data_dir: str | None, seed: int = 0) -> list[float]:
    """Those of the first steps that ``python train.py`` would take with these options, on a CPU."""
    settings = complete(f"{options} --accelerator cpu --compile none", seed, data_dir)
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    classifier, data, kept = make_classifier(settings), make_data(settings), Losses()
    with bare_trainer(
        accelerator="cpu",
        precision=settings.precision,
        max_steps=steps,
        limit_val_batches=0,
        callbacks=[kept],
    ) as trainer:
        trainer.fit(classifier, datamodule=data)
    return kept.values


def table(differences: list[Difference]) -> str:
    """A pair a line, and the largest difference up to the steps that are shown."""
    steps = [step for step in SHOWN if any(row.step == step for row in differences)]
    lines = []
    for name in dict.fromkeys(row.name for row in differences):
        largest = {row.step: row.largest for row in differences if row.name == name}
        lines.append([name, *(f"{largest[step]:.2g}" for step in steps)])
    return markdown(["", *(f"step {step}" for step in steps)], lines)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", help="as train.py's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=max(SHOWN), help=f"default {max(SHOWN)}")
    parser.add_argument("--options", default=RECIPE, help=f"of train.py, for all; default '{RECIPE}'")
    add_results(parser)
    options = parser.parse_args(words)
    curves: dict[str, list[float]] = {}
    rows = []
    for name, pair in PAIRS.items():
        for side in pair:
            if side not in curves:
                curves[side] = losses(
                    f"{options.options} {side}", options.steps, options.data_dir, options.seed
                )
        apart = (abs(one - other) for one, other in zip(*(curves[side] for side in pair), strict=True))
        rows += [
            Difference(
                name=name,
                options=f"{options.options} {pair[0]}",
                other_options=f"{options.options} {pair[1]}",
                seed=options.seed,
                step=step,
                largest=largest,
                **conditions(torch.device("cpu")),
            )
            for step, largest in enumerate(accumulate(apart, max), start=1)
        ]
    append(rows, options.results / "runs" / "control.csv")
    print(table(rows))


if __name__ == "__main__":
    main()
