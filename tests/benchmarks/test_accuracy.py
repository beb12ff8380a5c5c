"""`benchmarks/accuracy.py`: errors, and what is said of them."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

import accuracy


def test_errors_are_relative_to_all_elements_or_to_the_worst() -> None:
    exact = torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)
    actual = torch.tensor([3.0, 4.5, 0.0], dtype=torch.float64)
    assert accuracy.norm_error(actual, exact) == pytest.approx(0.1)
    assert accuracy.largest_error(actual, exact) == pytest.approx(0.125)


def test_no_ratio_is_to_less_than_a_rounding() -> None:
    assert accuracy.cells(2.0**-22, 2.0**-25) == ["2.4e-07", "3.0e-08", "4.0"]
    assert accuracy.cells(3e-6, 1e-6)[2] == "3.0"


def test_the_largest_ratio_is_said() -> None:
    table = [["a", "0.9"], ["b", "12.1"], ["c", "3.0"]]
    assert accuracy.worst(["what", "ratio"], table) == "**The largest ratio is 12.1.**"


def test_plain_sums_are_left_out_of_winograds_lines() -> None:
    lines = list(islice(accuracy.winograd_lines(), 2))
    assert [line[:4] for line in lines] == [
        ["64→128, 32×32", "normal", "contiguous", "w̄"],
        ["64→128, 32×32", "normal", "channels_last", "w̄"],
    ]
