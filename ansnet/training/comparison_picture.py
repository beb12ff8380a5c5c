"""Compared runs in a picture: their curves, and what they end with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansnet.files import whole
from ansnet.training.comparison import Group, percent

STYLES = ("-", "--", ":", "-.")


def draw_comparison(groups: Sequence[Group], letters: Sequence[str], picture: Path) -> None:
    """Draw validation accuracy and loss by epoch, and the accuracy after the last, as a PNG.

    A group has a colour, from the eleventh on another line as well; of several runs the line is the
    mean, and the band, or the bar, a standard deviation up and down.

    Args:
        groups: in the order of the legend.
        letters: a short name for each, where there is no place for its own.
        picture: where to.
    """
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    palette = colormaps["tab10"].colors  # type: ignore[attr-defined]
    styles = [
        {"color": palette[number % 10], "linestyle": STYLES[number // 10 % len(STYLES)]}
        for number in range(len(groups))
    ]
    names = [
        f"{letter}  {group.name}" + (f"  (n = {len(group.records)})" if len(group.records) > 1 else "")
        for letter, group in zip(letters, groups, strict=True)
    ]
    rows = -(-len(groups) // 2)
    figure = Figure(figsize=(13, 4.6 + 0.22 * rows), layout="constrained")
    accuracy, loss, last = figure.subplots(1, 3, width_ratios=(4, 4, 3))
    draw_curves(accuracy, groups, styles, "val_accuracy", 100)
    accuracy.set_title("validation accuracy in %", fontsize="medium")
    draw_curves(loss, groups, styles, "val_loss", 1)
    loss.set_title("validation loss (cross-entropy)", fontsize="medium")
    draw_last(last, groups, styles, letters)
    figure.legend(
        accuracy.get_lines(),
        names,
        loc="outside lower center",
        ncols=2,
        fontsize="small",
        frameon=False,
    )
    with whole(picture) as unfinished:
        figure.savefig(unfinished, dpi=120, format="png")


def draw_curves(
    axes: Any, groups: Sequence[Group], styles: Sequence[dict[str, Any]], quantity: str, scale: float
) -> None:
    """A quantity by epoch, a line a group."""
    from matplotlib.ticker import MaxNLocator

    for group, style in zip(groups, styles, strict=True):
        curve = group.curve(quantity)
        epochs = [epoch for epoch, _ in curve]
        means = [scale * spread.mean for _, spread in curve]
        axes.plot(epochs, means, marker="o", markersize=3, **style)
        if len(group.records) > 1:
            apart = [scale * (spread.deviation or 0.0) for _, spread in curve]
            low = [middle - deviation for middle, deviation in zip(means, apart, strict=True)]
            high = [middle + deviation for middle, deviation in zip(means, apart, strict=True)]
            axes.fill_between(epochs, low, high, color=style["color"], alpha=0.2, linewidth=0)
    axes.set_xlabel("epochs completed")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)


def draw_last(
    axes: Any, groups: Sequence[Group], styles: Sequence[dict[str, Any]], letters: Sequence[str]
) -> None:
    """The accuracy after the last epoch, a row a group."""
    for row, (group, style) in enumerate(zip(groups, styles, strict=True)):
        spread = group.figure("accuracy")
        assert spread is not None  # each epoch has one
        bar = 100 * spread.deviation if spread.deviation is not None else None
        axes.errorbar(100 * spread.mean, row, xerr=bar, fmt="o", capsize=4, color=style["color"])
        axes.annotate(
            percent(spread.mean),
            (100 * spread.mean, row),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            fontsize="x-small",
        )
    axes.set_yticks(range(len(groups)), letters)
    axes.set_ylim(len(groups) - 0.5, -0.8)  # the first at the top
    axes.margins(x=0.15)
    axes.grid(alpha=0.3, axis="x")
    axes.set_title("accuracy after the last epoch in %", fontsize="medium")
