"""Two answers are the same, or the first difference is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.tools.answers import difference, shorten, summary


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (torch.tensor([1.0, 1e-12]), torch.tensor([1.0, 0.0])),  # 0 within what the largest allows
        (np.array([[1, 2]]), torch.tensor([[1.0, 2.0]])),
        (torch.tensor([float("nan"), 1.0]), torch.tensor([float("nan"), 1.0])),
        ([1, {"a": (2.0, "text")}], [1, {"a": [2.0, "text"]}]),
        ({"b": None, "a": True}, {"a": True, "b": None}),
    ],
)
def test_same(ours: Any, theirs: Any) -> None:
    assert difference(ours, theirs, 1e-8) == ""


@pytest.mark.parametrize(
    ("ours", "theirs", "text"),
    [
        (torch.zeros(2), torch.tensor([0.0, 2.0]), "answer: 1 apart, relative to the largest"),
        (torch.ones(2), torch.zeros(2), "answer: 1 apart"),
        (torch.zeros(2), torch.zeros(3), "answer: shape (2,) for (3,)"),
        (torch.tensor([float("nan")]), torch.tensor([0.0]), "answer: NaN in other places"),
        ([1, 81_920], [1, 68_723_200], "answer[1]: 81,920 for 68,723,200"),
        ({"a": 1}, {"b": 1}, "answer: keys a for b"),
        ([1], [1, 2], "answer: 1 entries for 2"),
        ("relu", "conv", "answer: relu for conv"),
        (None, torch.zeros(1), "answer: None for 1"),
    ],
)
def test_first_difference(ours: Any, theirs: Any, text: str) -> None:
    assert difference(ours, theirs, 1e-8) == text


def test_shortened() -> None:
    assert shorten(torch.zeros(2, 3, 4)) == "2×3×4"
    assert shorten(4_178_570) == "4,178,570"
    assert shorten([1, {"weight": torch.zeros(3, 3)}]) == "1, weight: 3×3"
    assert len(shorten("a" * 200)) == 80


def test_summed_up() -> None:
    assert summary({"conv1": torch.zeros(2, 3), "flops": 12}) == "2×3, 12"
    assert summary([torch.zeros(2)] * 5) == "5 tensors"
    assert summary({"weights": [torch.zeros(2)] * 5, "b": "name"}) == "5 tensors, 1 entries: name"
