"""How numbers are spread: counted where they lie, by as few passes over them as that takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

BINS = 50


@dataclass(frozen=True)
class Histogram:
    """How many numbers lie in each of `BINS` equal intervals between the lowest and the highest."""

    lowest: float
    highest: float
    numbers: int
    total: float
    total_of_squares: float
    counts: list[int]

    def write(self, writer: Any, tag: str, step: int) -> None:
        """Write it to a ``SummaryWriter``."""
        width = (self.highest - self.lowest) / BINS
        writer.add_histogram_raw(
            tag,
            min=self.lowest,
            max=self.highest,
            num=self.numbers,
            sum=self.total,
            sum_squares=self.total_of_squares,
            bucket_limits=[self.lowest + width * i for i in range(1, BINS)] + [self.highest],
            bucket_counts=self.counts,
            global_step=step,
        )


def histogram(numbers: Tensor) -> Histogram | None:
    """Count the numbers of a tensor of any shape; what is not finite is left out.

    Returns:
        None where there is nothing to count.
    """
    x = numbers.detach().float().flatten()
    if x.numel() == 0:
        return None
    lowest, highest = torch.stack(x.aminmax()).tolist()
    if not (abs(lowest) < float("inf") and abs(highest) < float("inf")):
        return histogram(x[x.isfinite()])
    width = (highest - lowest) / BINS
    if width > 0:
        bins = ((x - lowest) * (1 / width)).to(torch.int64).clamp_(0, BINS - 1)
        counts = bins.bincount(minlength=BINS).tolist()
    else:
        counts = [x.numel()] + [0] * (BINS - 1)
    total, squares = torch.stack([x.sum(), x.square().sum()]).tolist()
    return Histogram(lowest, highest, x.numel(), total, squares, counts)
