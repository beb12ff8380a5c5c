"""`ansnet.training.metrics`."""

from __future__ import annotations

import torch

from ansnet.training.metrics import accuracy


def test_accuracy_is_the_share_of_the_right_ones() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.0], [2.0, 1.0, 0.0], [-3.0, -2.0, -1.0], [1.0, 0.0, 0.0]])
    assert accuracy(scores, torch.tensor([1, 0, 2, 2])).item() == 0.75
    tied = torch.tensor([[1.0, 1.0, 0.0]])  # counts for the first class alone
    assert [accuracy(tied, torch.tensor([target])).item() for target in (0, 1, 2)] == [1, 0, 0]
    assert accuracy(scores[:0], torch.zeros(0, dtype=torch.int64)).isnan()
