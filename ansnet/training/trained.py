"""The trained network of a checkpoint, or of a file of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansnet.models.weights import TrainedNetwork, WeightsError, read_weights
from ansnet.training.checkpoint_file import NO_CHECKPOINT, check_file, read_checkpoint
from ansnet.training.classifier import ImageClassifier
from ansnet.training.description import describe_network
from ansnet.training.memory_needed import why_not_shown


def read_trained(path: Path) -> TrainedNetwork:
    """A trained network, and what its scores mean.

    Args:
        path: a file of weights (``.safetensors``, see `ansnet.models.weights`), or the checkpoint of a
            run.

    Returns:
        The network in float32, in evaluation mode, on the CPU.

    Raises:
        WeightsError: there is no such file, it is damaged or something else, or a checkpoint that does
            not name its network; in one line.
    """
    check_file(path)
    if path.suffix != ".safetensors":
        return trained_network(read_run(path))
    trained = read_weights(path)
    check_fits(path, trained.network)
    return trained


def read_run(checkpoint: Path) -> ImageClassifier:
    """What a run has trained, on the CPU.

    Raises:
        WeightsError: see `read_trained`.
    """
    read_checkpoint(checkpoint)
    try:
        classifier = ImageClassifier.load_from_checkpoint(
            checkpoint, map_location="cpu", weights_only=True
        )
    except Exception as error:  # as of settings that no classifier takes
        raise WeightsError(f"{checkpoint}: {NO_CHECKPOINT}") from error
    assert isinstance(classifier, ImageClassifier)
    check_fits(checkpoint, classifier.network)
    return classifier


def check_fits(path: Path, network: Any, images: int = 1) -> None:
    """Refuse a network that cannot be shown so many images at once in the memory that there is.

    Raises:
        WeightsError: naming how much it needs.
    """
    reason = why_not_shown(network, images)
    if reason is not None:
        raise WeightsError(f"{path}: {reason}")


def trained_network(classifier: ImageClassifier) -> TrainedNetwork:
    """A classifier's network, and what its scores mean; for `ansnet.models.weights.write_weights`.

    Raises:
        WeightsError: no notation describes the network.
    """
    described = describe_network(classifier.network)
    if "class" in described:
        raise WeightsError(f"no notation describes this network, a {described['class']}")
    network: Any = classifier.network.float().eval()  # of ansnet's layers, or torch.nn's
    return TrainedNetwork(network, classifier.classes, classifier.normalisation, classifier.dataset)
