"""The learning rate range test: a short training at a rate that rises from step to step.

Step i of 0 … S is taken at the rate η_i = η_0 (η_S/η_0)^(i/S). The loss stays where it is while the
steps are too short, then falls, and rises again once they are too long. Taken is the rate at which it
falls most steeply over log η.

Source: Smith, *Cyclical learning rates for training neural networks* (2017), section 3.3; to take the
steepest place, and not where the loss is lowest, as Lightning's ``Tuner.lr_find`` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite, sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from tqdm import tqdm

from ansnet.compatibility import lightning
from ansnet.files import whole
from ansnet.training.classifier import Batch

STEPS = 100
LOWEST, HIGHEST = 1e-5, 10.0
REACH = 8  # steps before and after, over which a loss is averaged
DIVERGED = 4.0  # times the lowest average


@dataclass
class Search:
    """The rates that have been tried, in order, and the loss of the step taken at each."""

    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def averages(self) -> list[float]:
        """The loss at each rate, over it and `REACH` rates on either side, as far as there are."""
        windows = [self.losses[max(0, i - REACH) : i + REACH + 1] for i in range(len(self.losses))]
        return [sum(window) / len(window) for window in windows]

    def steepest(self) -> int | None:
        """Where the loss falls most steeply, from the steps before to those after, before it is lowest.

        None where it does not fall by more than twice what the averages of two windows differ by
        chance, judged by the first window, in which the steps are too short to change anything.
        """
        averages, first = self.averages(), self.losses[: 2 * REACH + 1]
        if len(first) < 2 or not all(map(isfinite, first)):
            return None
        lowest = averages.index(min(averages))
        by_chance = stdev(first) * sqrt(2 / len(first))
        if lowest <= REACH or not averages[lowest] < mean(first) - 2 * by_chance:
            return None
        return max(range(REACH, lowest), key=self.fall)

    def fall(self, i: int) -> float:
        """By how much the loss is lower over `REACH` steps after step i than over those before."""
        return mean(self.losses[i - REACH : i]) - mean(self.losses[i + 1 : i + 1 + REACH])

    @property
    def rate(self) -> float:
        """That rate, to two digits, so that it can be typed.

        Raises:
            ValueError: the loss never falls.
        """
        steepest = self.steepest()
        if steepest is None:
            raise ValueError(f"no rate from {LOWEST:g} to {HIGHEST:g} at which the loss falls")
        return float(f"{self.rates[steepest]:.2g}")

    def __str__(self) -> str:
        return f"learning rate {self.rate:g}, where the loss fell most steeply"

    def has_diverged(self) -> bool:
        if not isfinite(self.losses[-1]):
            return True
        recent = self.losses[-REACH:]
        averages = self.averages()[REACH:-REACH] or [inf]
        return sum(recent) / len(recent) > DIVERGED * min(averages)


class RangeTest(lightning.Callback):
    """Takes each step at a higher rate, and stops when the loss has diverged.

    Every group of parameters keeps its share: biases have ``bias_lr_factor`` times the rate.

    Attributes:
        search: what has been measured.
    """

    def __init__(self) -> None:
        self.search = Search()

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.bar = tqdm(desc="finding the learning rate", total=STEPS, leave=False, disable=None)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, batch: Batch, index: int
    ) -> None:
        rate = LOWEST * (HIGHEST / LOWEST) ** (trainer.global_step / (STEPS - 1))
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = rate * group["initial_lr"] / module.lr
        self.search.rates.append(rate)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        outputs: Any,
        batch: Batch,
        index: int,
    ) -> None:
        self.search.losses.append(outputs["figures"][0].item())
        self.bar.update()
        trainer.should_stop = self.search.has_diverged()

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.bar.close()


def draw_search(search: Search, picture: Path) -> None:
    """Draw the loss over the rate, and the rate that is taken, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    averages = search.averages()
    axes.plot(search.rates, search.losses, color="tab:blue", alpha=0.3, label="loss of a step")
    axes.plot(search.rates, averages, color="tab:blue", label=f"over {2 * REACH + 1} steps")
    axes.axvline(search.rate, color="tab:orange", label=f"taken: {search.rate:g}")
    axes.set_xscale("log")
    # what has diverged leaves the picture at the top
    start = averages[0]
    axes.set_ylim(min(averages) - 0.1 * start, 1.5 * start)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    with whole(picture) as unfinished:
        figure.savefig(unfinished, dpi=120, format="png")
