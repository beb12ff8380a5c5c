"""What a trained network takes pictures for."""

from __future__ import annotations

import torch
from torch import Tensor

from ansnet.models.weights import TrainedNetwork, WeightsError
from ansnet.training.views import other_views


def normalise(trained: TrainedNetwork, pixels: Tensor) -> Tensor:
    """Pictures as the network was trained to see them: ``(x/255 − mean) / std``, by channels.

    Args:
        trained: whose normalisation is taken.
        pixels: N × H × W × 3 bytes.

    Returns:
        N × 3 × H × W.

    Raises:
        WeightsError: the network's normalisation is not known.
    """
    if trained.normalisation is None:
        raise WeightsError(
            "it does not say how its images were normalised, and so cannot be shown others"
        )
    mean, std = (torch.tensor(trained.normalisation[name]) for name in ("mean", "std"))
    return ((pixels / 255 - mean) / std).permute(0, 3, 1, 2)


@torch.no_grad()
def predict(trained: TrainedNetwork, images: Tensor, flip: bool = False, shift: bool = False) -> Tensor:
    """The probabilities of the classes: the softmax of the scores.

    With more views of an image (`ansnet.training.views`) these are the mean over the views, by their
    weights. Their sum, by which accuracies with test-time augmentation are counted, puts the classes in
    the same order, but as probabilities it would be too sure.

    Args:
        trained: the network.
        images: N × 3 × H × W, see `normalise`.
        flip, shift: show it their mirror images, and what they are shifted to, as well.

    Returns:
        N × classes, each row of which adds up to 1.
    """
    total, weights = trained.network(images), 1.0
    for view, weight in other_views(images, flip, shift):
        total = total + weight * trained.network(view)
        weights += weight
    probabilities: Tensor = (total / weights).softmax(1)
    return probabilities


def class_names(trained: TrainedNetwork) -> tuple[str, ...]:
    """The names of the classes, or their numbers where they have none."""
    return trained.classes or tuple(f"class {i}" for i in range(trained.network.out_features))


def ranking(probabilities: Tensor, classes: tuple[str, ...]) -> list[tuple[str, float]]:
    """The classes of one image with their probabilities, the likeliest first.

    Example:
        >>> ranking(torch.tensor([0.25, 0.75]), ("cat", "dog"))
        [('dog', 0.75), ('cat', 0.25)]
    """
    order = probabilities.argsort(descending=True, stable=True).tolist()
    return [(classes[i], float(probabilities[i])) for i in order]
