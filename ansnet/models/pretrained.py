"""The networks that come trained: their weights, and the model cards that tell of them.

Each is three files in ``ansnet/weights/``, which ``benchmarks/shipped_weights.py`` makes of a run: the
weights in float16 (``resnet9.safetensors``, see `ansnet.models.weights`), what they reach and how they
came about as figures (``resnet9.json``), and both as a page (``resnet9.md``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansnet.models.notation import Network
from ansnet.models.weights import TrainedNetwork, WeightsError, read_weights

FOLDER = Path(__file__).parents[1] / "weights"


def load_pretrained(name: str) -> Network:
    """A network that comes trained.

    Args:
        name: see `list_pretrained`.

    Returns:
        The network in float32, in evaluation mode. Its classes, and how images are normalised for it,
        `read_pretrained` gives as well.

    Raises:
        WeightsError: no weights of that name come with ansnet, or the installed ones are damaged.
    """
    return read_pretrained(name).network


def read_pretrained(name: str) -> TrainedNetwork:
    """A network that comes trained, with its classes and its normalisation.

    Raises:
        WeightsError: as `load_pretrained`.
    """
    return read_weights(shipped_file(name))


def list_pretrained() -> list[str]:
    """Names of the networks that come trained."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def shipped_file(name: str) -> Path:
    """Where the weights of a name lie.

    Raises:
        WeightsError: none of that name come with ansnet.
    """
    path = FOLDER / f"{name}.safetensors"
    if not path.is_file():
        there = list_pretrained()
        advice = f"there are those of {', '.join(there)}" if there else "this copy has none"
        raise WeightsError(f"no trained weights of {name!r} come with ansnet; {advice}")
    return path


def read_card(name: str) -> dict[str, Any]:
    """The figures of a model card.

    Raises:
        WeightsError: there is none, or it is damaged.
    """
    path = FOLDER / f"{name}.json"
    try:
        card: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise WeightsError(f"{path} is missing; install ansnet anew") from error
    except ValueError as error:
        raise WeightsError(f"{path} is damaged; install ansnet anew") from error
    return card
