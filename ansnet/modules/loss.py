"""The loss as a layer."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.functional import cross_entropy
from ansnet.functional.left_out import refuse
from ansnet.functional.loss import Reduction, check_hyperparameters, check_weight
from ansnet.modules.layer import Layer, leaf


class SoftmaxCrossEntropy(Layer, nn.CrossEntropyLoss):
    """`ansnet.functional.cross_entropy`, in the place of `torch.nn.CrossEntropyLoss`.

    Args:
        weight: of each class, C; a buffer, as there.
        ignore_index, reduction, label_smoothing: as `ansnet.functional.cross_entropy`.
        size_average, reduce: left out, see ``docs/complete.md``.

    Shapes: logits N × C and class indices N, or probabilities N × C, to a scalar, or to N without
    reduction; further axes as `ansnet.functional.cross_entropy`.

    Raises:
        ValueError, RuntimeError, TypeError: an argument is out of its range, or the weight no tensor.
    """

    twin = nn.CrossEntropyLoss
    reduction: Reduction

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        refuse("SoftmaxCrossEntropy", size_average=size_average, reduce=reduce)
        check_weight(weight)
        check_hyperparameters(ignore_index, reduction, label_smoothing)
        settings = size_average, ignore_index, reduce, reduction, label_smoothing
        super().__init__(weight, *settings)

    @leaf
    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        return (
            f"ignore_index={self.ignore_index}, reduction={self.reduction!r}, "
            f"label_smoothing={self.label_smoothing}"
        )
