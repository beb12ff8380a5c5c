"""The models by name."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from fnmatch import filter as filter_names

from ansnet.models.notation import Network, NotationError
from ansnet.models.resnet import ResNet9
from ansnet.models.vgg import VGG7, VGG7BN

MODELS: dict[str, Callable[[int], Network]] = {"vgg7": VGG7, "vgg7bn": VGG7BN, "resnet9": ResNet9}


class UnknownModelError(ValueError):
    """A name that no model has."""


def list_models(pattern: str = "*") -> list[str]:
    """Names of the models that match a shell pattern, as ``vgg*``."""
    return filter_names(MODELS, pattern)


def create_model(model: str, num_classes: int = 10) -> Network:
    """Build a model from its name or from a notation.

    Args:
        model: a name (see `list_models`), or a notation (see `ansnet.models.notation`).
        num_classes: number of outputs.

    Returns:
        The network, freshly initialised.

    Raises:
        UnknownModelError: no model has the name.
        NotationError: the notation does not parse, or does not end in ``num_classes`` outputs.
    """
    if model in MODELS:
        return MODELS[model](num_classes)
    if model.isidentifier():
        nearest = get_close_matches(model, MODELS, n=1)
        suggestion = f"did you mean {nearest[0]}? " if nearest else ""
        raise UnknownModelError(
            f"unknown model {model!r}: {suggestion}known are {', '.join(MODELS)}, or give a notation "
            'such as "CNR(32), M(2), res(CNR(32)), M(4), L(10)"'
        )
    network = Network(model)
    if network.out_features != num_classes:
        raise NotationError(
            model,
            model.rindex("L"),
            f"the network has {network.out_features} outputs, but there are {num_classes} classes; "
            f"end it with L({num_classes})",
        )
    return network
