"""What a network takes for what, as a person reads it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansnet.training.evaluation import Evaluation

WIDEST = 12  # classes of a table; with more it would not fit beside itself on a terminal
BEST_AND_WORST = 5
MOST_FREQUENT = 10
CELL = 6  # letters


def by_classes(classes: Sequence[str], evaluation: Evaluation) -> list[str]:
    """Lines: a table, or of many classes the best, the worst and what is mixed up most often."""
    if len(classes) <= WIDEST:
        return confusion_table(classes, evaluation)
    return [*best_and_worst(classes, evaluation), "", *most_frequent(classes, evaluation)]


def confusion_table(classes: Sequence[str], evaluation: Evaluation) -> list[str]:
    """A line a class: its accuracy, and what its images were taken for."""
    width = max(map(len, classes))
    head = "".join(f"{name[: CELL - 1]:>{CELL}}" for name in classes)
    lines = [f"{'':<{width}}  accuracy  taken for", f"{'':<{width}}  {'':8}{head}"]
    for name, share, row in zip(classes, evaluation.by_class(), evaluation.confusion, strict=True):
        counts = "".join(f"{count or '·':>{CELL}}" for count in row)
        lines.append(f"{name:<{width}}  {percent(share):>8}{counts}")
    return lines


def best_and_worst(classes: Sequence[str], evaluation: Evaluation) -> list[str]:
    """The classes of the highest and of the lowest accuracy side by side."""
    shares = evaluation.by_class()
    measured = [i for i in range(len(classes)) if not isnan(shares[i])]
    ranked = sorted(measured, key=lambda i: -shares[i])
    best, worst = ranked[:BEST_AND_WORST], ranked[::-1][:BEST_AND_WORST]
    width = max([len(classes[i]) for i in best] + [len("best classes")])
    lines = [f"{'best classes':<{width}}  accuracy    worst classes"]
    wide = max(len(classes[i]) for i in worst)
    for i, j in zip(best, worst, strict=True):
        lines.append(
            f"{classes[i]:<{width}}  {percent(shares[i]):>8}    {classes[j]:<{wide}}  "
            f"{percent(shares[j]):>8}"
        )
    return lines


def most_frequent(classes: Sequence[str], evaluation: Evaluation) -> list[str]:
    """The pairs of classes of which the one is taken for the other most often."""
    counts = [
        (count, classes[i], classes[j])
        for i, row in enumerate(evaluation.confusion)
        for j, count in enumerate(row)
        if i != j and count
    ]
    counts.sort(key=lambda entry: (-entry[0], entry[1], entry[2]))
    if not counts:
        return ["nothing is taken for anything else"]
    shown = counts[:MOST_FREQUENT]
    width = max(len(true) for _, true, _ in shown)
    return [
        "most frequent confusions",
        *(f"{count:>6} × {true:<{width}}  taken for {taken}" for count, true, taken in shown),
    ]


def percent(share: float) -> str:
    """A share in percent; a dash where there is nothing to share."""
    return "–" if isnan(share) else f"{share:.2%}"
