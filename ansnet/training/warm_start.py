"""A training that begins with trained weights, and not with random ones.

All layers take the trained ones, but the last has nothing to take where the classes are others
(Yosinski et al., *How transferable are features in deep neural networks?*, 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from torch import nn

from ansnet.models import Network
from ansnet.models.pretrained import list_pretrained, shipped_file
from ansnet.models.weights import TrainedNetwork, WeightsError
from ansnet.training.settings import Settings, SettingsError
from ansnet.training.trained import read_trained

SHIPPED = "pretrained"


def begin_with_weights(network: Network, settings: Settings, classes: Sequence[str]) -> str:
    """Load what ``--weights`` names.

    Args:
        network: which is about to be trained.
        settings: of the run.
        classes: which it will be trained to tell apart.

    Returns:
        What has been loaded, and which layer is new, in one line.

    Raises:
        SettingsError: there are no such weights, or they are another network's.
    """
    given = f"--weights {settings.weights}"
    try:
        if settings.weights != SHIPPED:
            path = Path(str(settings.weights))
        elif settings.model in list_pretrained():
            path = shipped_file(settings.model)
        else:
            there = list_pretrained()
            known = f", but with {' and '.join(there)}" if there else ""
            raise SettingsError(
                f"{given}: none come with --model {settings.model}{known}; name a file of weights, or "
                "a checkpoint"
            )
        trained = read_trained(path)
    except WeightsError as error:
        raise SettingsError(f"--weights {error}") from error
    try:
        new = load_weights(network, trained, classes)
    except WeightsError as error:
        raise SettingsError(f"{given}: {error}") from error
    origin = settings.model if settings.weights == SHIPPED else path
    learnt = f", learnt from {trained.dataset}" if trained.dataset else ""
    if not new:
        return f"begins with the weights of {origin}{learnt}"
    reason = f"{len(classes)} classes"
    if trained.network.out_features == len(classes):
        reason = "for other classes"
    return f"begins with the weights of {origin}{learnt}; its last layer, {new[0]}, is new: {reason}"


def load_weights(
    network: Network, trained: TrainedNetwork, classes: Sequence[str] | None = None
) -> list[str]:
    """Give a network the weights of a trained one of the same layers.

    The last layer stays as it is where the number of classes is another, or the classes are.

    Args:
        network: to be trained.
        trained: see `ansnet.training.trained.read_trained`.
        classes: of the network; None if they are not known, or the same.

    Returns:
        Names of the layers that have not been loaded.

    Raises:
        WeightsError: naming the first layer in which the two differ; the network is as before.

    Example:
        >>> load_weights(Network("CR(4), L(3)"), TrainedNetwork(Network("CR(4), L(10)")))
        ['linear1']
    """
    own, theirs = outline(network), outline(trained.network)
    last = own[-1]
    fits = theirs[-1]._replace(shape=last.shape) == last and theirs[-1].shape[1:] == last.shape[1:]
    compared = zip_longest(own[:-1], theirs[:-1]) if fits else zip_longest(own, theirs)
    for mine, other in compared:
        if mine != other:
            raise WeightsError(
                "the weights are of another network; the first layer that differs is "
                f"{other or 'none'} there and {mine or 'none'} here; its model is "
                f"{trained.network.notation!r}"
            )
    others = None not in (classes, trained.classes) and tuple(classes or ()) != trained.classes
    new = [last.name] if others or theirs[-1] != last else []
    taken = {
        name: tensor
        for name, tensor in trained.network.state_dict().items()
        if name.rpartition(".")[0] not in new
    }
    network.load_state_dict({**network.state_dict(), **taken})
    return new


class Outline(NamedTuple):
    """A layer by what it computes: its name and class, its weight's shape or its window, its bias."""

    name: str
    kind: str
    shape: tuple[int, ...]
    has_bias: bool

    def __str__(self) -> str:
        size = f" of {' × '.join(map(str, self.shape))}" if self.shape else ""
        return f"{self.name}{size}{' with a bias' if self.has_bias else ''}"


def outline(network: nn.Module) -> list[Outline]:
    """The layers that have none of their own, in their order."""
    return [
        Outline(name, type(layer).__name__, shape(layer), getattr(layer, "bias", None) is not None)
        for name, layer in network.named_modules()
        if not any(True for _ in layer.children())
    ]


def shape(layer: nn.Module) -> tuple[int, ...]:
    weight, window = getattr(layer, "weight", None), getattr(layer, "kernel_size", None)
    if weight is not None:
        return tuple(weight.shape)
    return () if window is None else (window, window) if isinstance(window, int) else tuple(window)
