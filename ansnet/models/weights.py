"""Trained weights in one file: what a network is made of, what it was trained on, and its parameters.

A safetensors file (Hugging Face, *Safetensors*, format specification): a header that says name, type,
shape and place of each tensor, then their bytes. Its metadata has one entry, ``ansnet``, a JSON object
of what rebuilds the classifier (`TrainedNetwork`) and of the SHA-256 of the tensors, so that a damaged
file is known as one. Nothing in it is executed when it is read.

Weights in float16 take half the space, and are read as float32. Those that come with ansnet are found
by `ansnet.models.pretrained`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ansnet.files import whole
from ansnet.models.notation import Network

KEY = "ansnet"  # one entry: safetensors 0.8 writes several in any order, and so another file each time


class WeightsError(ValueError):
    """A file of weights that is missing, damaged or another's; the message says what to do."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with trained weights, and what its scores mean.

    Attributes:
        network: N × in_shape to N × classes. As it is read, in float32 and in evaluation mode.
        classes: their names, in the order of the scores; None if they are not known.
        normalisation: ``mean`` and ``std`` of red, green and blue, in 0..1, by which images are to be
            normalised; None if they are not known.
        dataset: the name of what it was trained on; None if it is not known.
    """

    network: Network
    classes: tuple[str, ...] | None = None
    normalisation: Mapping[str, Sequence[float]] | None = None
    dataset: str | None = None


def write_weights(
    path: Path, trained: TrainedNetwork, dtype: torch.dtype | None = torch.float16
) -> None:
    """Write a file of weights.

    Args:
        path: where to; what is there is overwritten.
        trained: whose network has the layers of its notation, ansnet's or their twins of `torch.nn`.
        dtype: of the numbers in the file, but for whole ones; None keeps the network's.

    Raises:
        WeightsError: a weight is not a number, or too large for the type.
        OSError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in trained.network.state_dict().items():
        kept = tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor
        if not kept.isfinite().all():
            raise WeightsError(f"{name} has numbers that are not finite in {kept.dtype}")
        tensors[name] = kept.cpu().contiguous()
    about = {
        "notation": trained.network.notation,
        "in_shape": list(trained.network.in_shape),
        "bias": trained.network.bias,
        "classes": trained.classes,
        "normalisation": trained.normalisation and dict(trained.normalisation),
        "dataset": trained.dataset,
        "sha256": digest(tensors),
    }
    content = save(tensors, {KEY: json.dumps(about)})
    with whole(path) as unfinished:
        unfinished.write_bytes(content)


def read_weights(path: Path) -> TrainedNetwork:
    """The trained network of a file that `write_weights` has written, in float32.

    Raises:
        WeightsError: there is no such file, or it is damaged, or no such file at all.
    """
    description, tensors = read_file(path)
    try:
        about = json.loads(description)
        channels, height, width = about["in_shape"]
        network = Network(about["notation"], (channels, height, width), about["bias"])
        network.load_state_dict(tensors)
        classes, normalisation = about["classes"], about["normalisation"]
        trained = TrainedNetwork(
            network.eval(),
            classes and tuple(classes),
            normalisation and {name: tuple(each) for name, each in normalisation.items()},
            about["dataset"],
        )
        written = about["sha256"]
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: its description and its weights do not agree; fetch or write it anew"
        ) from error
    if written != digest(tensors):
        raise WeightsError(
            f"{path}: the file is damaged, its weights have another SHA-256 than it says; fetch or "
            "write it anew"
        )
    return trained


def read_file(path: Path) -> tuple[str, dict[str, Tensor]]:
    """The description of a network, in JSON, and the tensors that a file holds.

    Raises:
        WeightsError: as `read_weights`.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no dict
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: there is no such file; name a file of weights") from error
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path}: this is no safetensors file, or one that was cut off; fetch or write it anew"
        ) from error
    if KEY not in metadata:
        raise WeightsError(
            f"{path}: the file does not say what network its weights are of; name one that ansnet has "
            "written"
        )
    return metadata[KEY], tensors


def digest(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of tensors by name: of each the name, type, shape and bytes, in the names' order."""
    hash_ = sha256()
    for name, tensor in sorted(tensors.items()):
        hash_.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        hash_.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return hash_.hexdigest()
