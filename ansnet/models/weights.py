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
from math import isfinite
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ansnet.files import whole
from ansnet.models.notation import Network

KEY = "ansnet"  # one entry: safetensors 0.8 writes several in any order, and so another file each time

# what reading something else as a description ends in
NOT_DESCRIBED = (ArithmeticError, AttributeError, KeyError, RuntimeError, TypeError, ValueError)
LARGEST_SIDE = 2**16  # of an image, in pixels; and channels


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
        check_sides((channels, height, width))
        with torch.device("meta"):  # takes no memory, whatever size is named
            network = Network(str(about["notation"]), (channels, height, width), bool(about["bias"]))
        if {name: each.shape for name, each in network.state_dict().items()} != {
            name: each.shape for name, each in tensors.items()
        }:
            raise ValueError("weights of other shapes")
        network = Network(network.notation, network.in_shape, network.bias)
        network.load_state_dict(tensors)
        trained = TrainedNetwork(
            network.eval(),
            class_names(about["classes"], network.out_features),
            normalisation_of(about["normalisation"]),
            None if about["dataset"] is None else str(about["dataset"]),
        )
        written = about["sha256"]
    except (
        ArithmeticError,
        AttributeError,
        KeyError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise WeightsError(
            f"{path}: its description and its weights do not agree; fetch or write it anew"
        ) from error
    if written != digest(tensors):
        raise WeightsError(
            f"{path}: the file is damaged, its weights have another SHA-256 than it says; fetch or "
            "write it anew"
        )
    return trained


def check_sides(shape: Sequence[int]) -> None:
    """Refuse an image of a size that is none.

    Raises:
        ValueError: it is not three whole numbers, or one is too large.
    """
    for size in shape:
        if not isinstance(size, int) or not 0 < size <= LARGEST_SIDE:
            raise ValueError(f"an image of {size!r} pixels or channels")


def class_names(classes: Sequence[str] | None, outputs: int) -> tuple[str, ...] | None:
    """The names of the classes, of which there is one for each output; None if they are not known.

    Raises:
        ValueError, TypeError: these are no such names.
    """
    if classes is None:
        return None
    if isinstance(classes, str) or len(classes) != outputs:
        raise ValueError(f"these are not the names of {outputs} classes")
    return tuple(map(str, classes))


def normalisation_of(
    described: Mapping[str, Sequence[float]] | None,
) -> dict[str, tuple[float, ...]] | None:
    """``mean`` and ``std`` of red, green and blue; None if they are not known.

    Raises:
        KeyError, TypeError, ValueError: these are none.
    """
    if described is None:
        return None
    if not isinstance(described, Mapping):
        raise TypeError("a normalisation is a map")
    numbers = {name: tuple(map(float, described[name])) for name in ("mean", "std")}
    for name, three in numbers.items():
        if len(three) != 3 or not all(map(isfinite, three)) or (name == "std" and min(three) <= 0):
            raise ValueError(f"{name} is not three numbers")
    return numbers


def read_file(path: Path) -> tuple[str, dict[str, Tensor]]:
    """The description of a network, in JSON, and the tensors that a file holds.

    Raises:
        WeightsError: as `read_weights`.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe might never end
            raise WeightsError(f"{path}: this is no file; name a file of weights")
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no dict
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: there is no such file; name a file of weights") from error
    except WeightsError:
        raise
    except (OSError, ValueError, SafetensorError) as error:
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
