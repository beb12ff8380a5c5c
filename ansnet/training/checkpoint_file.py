"""A file that is given as a checkpoint: looked at before a network is built as it says.

Anything may be in it. Nothing of a foreign pickle is executed (``weights_only=True``), no device or
pipe is opened, and no network is built that is larger than the weights that the file holds.
"""

from __future__ import annotations

import stat
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ansnet.models.weights import WeightsError, check_sides, class_names, normalisation_of
from ansnet.training.description import NotDescribedError, build_network

NO_CHECKPOINT = "this is no checkpoint of a run, nor a file of weights; name one"
PREFIX = "network."


def check_file(path: Path) -> None:
    """Refuse what is no file, without opening it.

    Raises:
        WeightsError: naming it.
    """
    try:
        kind = path.stat().st_mode
    except FileNotFoundError as error:
        raise WeightsError(
            f"{path}: there is no such file; name a checkpoint or a file of weights"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise WeightsError(f"{shortened(path)}: it cannot be read ({reason}); name another") from error
    if not stat.S_ISREG(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "no file"
        raise WeightsError(f"{path}: this is {what}; name a checkpoint or a file of weights")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU, checked as far as a network is built of it.

    Raises:
        WeightsError: there is no such file; it is damaged, or something else; its network is not named,
            or has other weights than there are.
    """
    check_file(path)
    try:
        with warnings.catch_warnings():  # of what is read as a pickle of another protocol
            warnings.simplefilter("ignore")
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what is no checkpoint makes it raise nearly anything
        raise WeightsError(f"{path}: {NO_CHECKPOINT}") from error
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("state_dict"), dict):
        raise WeightsError(f"{path}: {NO_CHECKPOINT}")
    chosen = checkpoint.get("hyper_parameters")
    if "pytorch-lightning_version" not in checkpoint:
        raise WeightsError(f"{path}: {NO_CHECKPOINT}")
    if not isinstance(chosen, Mapping) or chosen.get("network") is None:
        raise WeightsError(f"{path}: the checkpoint does not say what network its weights are of")
    tensors = checkpoint["state_dict"]
    if not all(isinstance(name, str) and isinstance(each, Tensor) for name, each in tensors.items()):
        raise WeightsError(f"{path}: {NO_CHECKPOINT}")
    weights = {
        name.removeprefix(PREFIX): each for name, each in tensors.items() if name.startswith(PREFIX)
    }
    try:
        check_sides(chosen["network"].get("in_shape", ()))
        with torch.device("meta"):  # takes no memory, whatever size is named
            network: Any = build_network(chosen["network"])
    except NotDescribedError as error:
        raise WeightsError(
            f"{path}: the checkpoint does not say what network its weights are of"
        ) from error
    except Exception as error:
        raise WeightsError(f"{path}: its description of a network is damaged; name another") from error
    check_tensors(path, network.state_dict(), weights)
    epoch = checkpoint.get("epoch", 0)
    try:
        class_names(chosen.get("classes"), network.out_features)
        normalisation_of(chosen.get("normalisation"))
        if not isinstance(chosen.get("dataset"), str | None) or not isinstance(epoch, int):
            raise TypeError("a data set or an epoch of another type")
    except Exception as error:
        raise WeightsError(f"{path}: what it says of its training is damaged; name another") from error
    return checkpoint


def check_tensors(path: Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Refuse weights that are not those of the network, or only seem to be there.

    Raises:
        WeightsError: naming the first.
    """
    for name in (*wanted, *found):
        here, there = wanted.get(name), found.get(name)
        if here is None or there is None or here.shape != there.shape:
            what = "is missing" if there is None else "is of another network"
            raise WeightsError(
                f"{path}: its description and its weights do not agree, {shortened(name)} {what}; name "
                "another"
            )
        held = there.layout is torch.strided and there.device.type == "cpu"
        if not held or there.untyped_storage().nbytes() < there.numel() * there.element_size():
            raise WeightsError(f"{path}: the numbers of {shortened(name)} are not in it; name another")
        if there.is_complex() or here.is_floating_point() != there.is_floating_point():
            raise WeightsError(
                f"{path}: {shortened(name)} has numbers of type {there.dtype}; name another"
            )


def shortened(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= 100 else f"{line[:99]}…"
