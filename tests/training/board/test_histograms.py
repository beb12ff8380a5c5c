"""`ansnet.training.board.histograms`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from ansnet.training.board.histograms import BINS, histogram


@pytest.mark.parametrize(
    "numbers",
    [
        torch.arange(1000.0),
        torch.randn(3, 7, 11, 13),
        torch.randn(100).bfloat16(),
        torch.randn(100, dtype=torch.float64),
        torch.randn(8, 3, 5, 5).to(memory_format=torch.channels_last),
        torch.tensor([[-1e30, 1e30, 0.0]]),
    ],
)
def test_it_counts_as_numpy_does(numbers: Tensor) -> None:
    counted = histogram(numbers)
    assert counted is not None
    x = numbers.float().flatten().numpy()
    expected, _ = np.histogram(x, BINS)
    # a number at the edge of two intervals may round into either
    assert np.abs(np.cumsum(counted.counts) - np.cumsum(expected)).max() <= 2
    assert sum(counted.counts) == counted.numbers == x.size
    assert (counted.lowest, counted.highest) == (x.min(), x.max())
    assert counted.total == pytest.approx(
        x.sum(dtype=float), rel=1e-4, abs=1e-3 * float(np.abs(x).max())
    )


def test_equal_numbers_are_all_counted() -> None:
    counted = histogram(torch.full((4, 5), 2.5))
    assert counted is not None
    assert sum(counted.counts) == 20
    assert counted.lowest == counted.highest == 2.5


def test_what_is_not_finite_is_left_out() -> None:
    counted = histogram(torch.tensor([1.0, float("nan"), float("inf"), 3.0, -float("inf")]))
    assert counted is not None
    assert (counted.lowest, counted.highest, counted.numbers) == (1.0, 3.0, 2)


@pytest.mark.parametrize("numbers", [torch.empty(0), torch.full((3,), float("nan"))])
def test_of_nothing_there_is_none(numbers: Tensor) -> None:
    assert histogram(numbers) is None


def test_tensorboard_reads_it(tmp_path: Path) -> None:
    counted = histogram(torch.arange(101.0))
    assert counted is not None
    with SummaryWriter(str(tmp_path)) as writer:
        counted.write(writer, "numbers", 7)
    (event,) = EventAccumulator(str(tmp_path)).Reload().Histograms("numbers")
    read = event.histogram_value
    assert event.step == 7
    assert (read.min, read.max, read.num, read.sum) == (0, 100, 101, 5050)
    assert list(read.bucket_limit) == [2.0 * i for i in range(1, 51)]
    assert list(read.bucket) == [2] * 49 + [3]
