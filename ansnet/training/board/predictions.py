"""What a network takes the validation images for, gathered from the validation that runs anyway."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from ansnet.compatibility import lightning

SHOWN = 32  # mistakes


class Mistakes(NamedTuple):
    """Images that are taken for another class, the most confident first.

    Shapes: confidence K, from 0 to 1, and 0 where there are no K mistakes; predicted K; targets K;
    images K × C × H × W, as the network is given them.
    """

    confidence: Tensor
    predicted: Tensor
    targets: Tensor
    images: Tensor

    def taken(self, indices: Tensor) -> Mistakes:
        return Mistakes(*(tensor[indices] for tensor in self))


class Predictions:
    """Counts what is taken for what, and keeps the most confident mistakes.

    All of it stays on the device until it is asked for, so that nothing waits for a batch. There are
    as many mistakes as `SHOWN` from every process, so that they can be exchanged.
    """

    def __init__(self) -> None:
        self.pairs: list[Tensor] = []
        self.mistakes: Mistakes | None = None
        self.num_classes = 0

    def add(self, images: Tensor, targets: Tensor, scores: Tensor) -> None:
        """Add a batch: N × C × H × W, N class indices, and N × classes."""
        self.num_classes = scores.shape[1]
        confidence, predicted = scores.detach().float().softmax(1).max(1)
        self.pairs.append(targets * self.num_classes + predicted)
        wrong = torch.where(predicted != targets, confidence, 0.0)
        most = Mistakes(wrong, predicted, targets, images).taken(highest(wrong))
        if self.mistakes is None:
            empty = [tensor.new_zeros((SHOWN, *tensor.shape[1:])) for tensor in most]
            self.mistakes = Mistakes(*empty)
        pairs = zip(self.mistakes, most, strict=True)
        both = Mistakes(*(torch.cat([old, new.to(old.dtype)]) for old, new in pairs))
        self.mistakes = both.taken(highest(both.confidence))

    def counts(self, strategy: lightning.strategies.Strategy) -> NDArray[Any]:
        """C × C, how many images of each class (row) were taken for each (column), in all processes."""
        pairs = torch.cat(self.pairs).cpu()
        counts = torch.bincount(pairs, minlength=self.num_classes**2)
        total = strategy.reduce(counts.to(strategy.root_device), reduce_op="sum")
        table: NDArray[Any] = total.cpu().view(self.num_classes, self.num_classes).numpy()
        return table

    def worst(self, strategy: lightning.strategies.Strategy) -> Mistakes:
        """The most confident mistakes of all processes, at most `SHOWN`, on the CPU."""
        assert self.mistakes is not None
        gathered = [
            strategy.all_gather(tensor).reshape(-1, *tensor.shape[1:]) for tensor in self.mistakes
        ]
        everyones = Mistakes(*gathered)
        most = everyones.taken(highest(everyones.confidence))
        # also without what is not a number, of scores that are none
        return Mistakes(*(tensor.cpu() for tensor in most.taken(most.confidence > 0)))


def highest(values: Tensor) -> Tensor:
    """The indices of the `SHOWN` highest, or of all if there are fewer, in descending order."""
    return values.topk(min(SHOWN, len(values))).indices
