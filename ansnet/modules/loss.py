"""The loss as a layer."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.functional import cross_entropy


class SoftmaxCrossEntropy(nn.Module):
    """`ansnet.functional.cross_entropy`, in the place of `torch.nn.CrossEntropyLoss`.

    Args:
        label_smoothing: share of the target that is spread over all classes, 0 to 1.

    Shapes: logits N × C and class indices N to a scalar.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(input, target, self.label_smoothing)

    def extra_repr(self) -> str:
        return f"label_smoothing={self.label_smoothing}"
