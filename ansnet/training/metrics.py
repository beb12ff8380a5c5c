"""What is measured."""

from __future__ import annotations

from torch import Tensor


def accuracy(scores: Tensor, targets: Tensor) -> Tensor:
    """Share of the samples whose highest score is that of their target.

    Args:
        scores: N × C, logits or probabilities.
        targets: class indices, N.

    Returns:
        A scalar from 0 to 1; not a number when N is 0. (Notebook, "Funkce pro trénování".)

    Example:
        >>> accuracy(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1]))
        tensor(0.5000)
    """
    return (scores.argmax(1) == targets).float().mean()
