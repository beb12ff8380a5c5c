"""What a trained network gets right: by views, by classes, and whether it knows how sure it may be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ansnet.compatibility import Fabric
from ansnet.functional import cross_entropy
from ansnet.training.views import scores_by_views

BINS = 15


@dataclass(frozen=True)
class Evaluation:
    """Figures over all images, of the image alone unless they are by views.

    Attributes:
        accuracy: by views, the keys of `ansnet.training.views.scores_by_views`.
        loss: the mean cross-entropy, without label smoothing.
        confusion: how many images of each class (row) were taken for each (column).
        confidence: the mean probability of the class that an image is taken for.
        calibration_error: how far that is from being right, see `calibration_error`.
    """

    accuracy: dict[str, float]
    loss: float
    confusion: list[list[int]]
    confidence: float
    calibration_error: float

    @property
    def images(self) -> int:
        return sum(map(sum, self.confusion))

    def by_class(self) -> list[float]:
        """The share of each class's images that were taken for it; not a number where it has none."""
        return [row[i] / sum(row) if sum(row) else float("nan") for i, row in enumerate(self.confusion)]


def evaluate(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Evaluation:
    """Show a network images, and all views of them.

    Args:
        network: N × 3 × H × W to N × C scores; put into evaluation mode.
        batches: of images and classes, on the network's device.
    """
    network.eval()
    dtype = next((parameter.dtype for parameter in network.parameters()), torch.float32)
    parts: dict[str, list[Tensor]] = {}
    targets: list[Tensor] = []
    with torch.no_grad():
        for images, classes in batches:
            targets.append(classes)
            for views, scores in scores_by_views(network, images.to(dtype)).items():
                parts.setdefault(views, []).append(scores)
    by_views = {views: torch.cat(part) for views, part in parts.items()}
    return figures(by_views, torch.cat(targets))


def computing_in(precision: str, network: nn.Module) -> nn.Module:
    """A network that computes as in a run with this ``--precision``, and gives its scores in float32.

    On the CPU, which has no ``16-mixed``: float32 is closer to it than bfloat16.
    """
    if precision == "16-mixed":
        precision = "32-true"
    one_of_lightnings: Any = precision
    fabric = Fabric(accelerator="cpu", devices=1, precision=one_of_lightnings)
    module: nn.Module = fabric.setup_module(network)
    return module


def figures(scores: dict[str, Tensor], targets: Tensor) -> Evaluation:
    """The figures that follow from the scores by views, each N × C, and the classes, N."""
    plain = scores["plain"]
    num_classes = plain.shape[1]
    pairs = targets * num_classes + plain.argmax(1)
    counts = torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes)
    probabilities = plain.softmax(1)
    return Evaluation(
        accuracy={views: share_right(each, targets) for views, each in scores.items()},
        loss=float(cross_entropy(plain, targets)),
        confusion=counts.tolist(),
        confidence=float(probabilities.amax(1).mean()),
        calibration_error=calibration_error(probabilities, targets),
    )


def share_right(scores: Tensor, targets: Tensor) -> float:
    """The accuracy, without the rounding of a mean in float32."""
    return int((scores.argmax(1) == targets).sum()) / len(targets)


def calibration_error(probabilities: Tensor, targets: Tensor) -> float:
    """The mean distance of confidence and accuracy over images that are about as confident.

    ``Σ_b |B_b|/N · |acc(B_b) − conf(B_b)|`` over `BINS` bins of the same width (Guo et al., *On
    calibration of modern neural networks*, 2017, equation 3).

    Args:
        probabilities: N × C.
        targets: N.

    Example:
        >>> calibration_error(torch.tensor([[0.75, 0.25], [0.75, 0.25]]), torch.tensor([0, 1]))
        0.25
    """
    confidence, predicted = probabilities.double().max(1)
    right = (predicted == targets).double()
    bins = (confidence * BINS).ceil().long().clamp(1, BINS) - 1
    gaps = torch.zeros(BINS, dtype=torch.float64, device=bins.device).index_add_(
        0, bins, right - confidence
    )
    return float(gaps.abs().sum() / len(targets))
