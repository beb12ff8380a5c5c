"""A trained network in a file for other programs, checked by loading it again.

Whatever a run computed in, what is exported computes in float32: numbers of fewer bits are widened,
which changes none of them, those of float64 are rounded. Exported is the network of `torch.nn`'s layers
that `ansnet.modules.to_torch` makes; a safetensors file holds its weights and what it is
(`ansnet.models.weights`).

The loaded file has to give the scores that the checkpoint's network gives in float64, but for
`TOLERANCE`.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ansnet.files import whole
from ansnet.models.source import plain_source
from ansnet.models.weights import TrainedNetwork, read_weights, write_weights
from ansnet.modules import to_torch

# of the largest score: float32's rounding is 1e-6 of it and below (VGG7, VGG7BN, ResNet9), and that of
# the next coarser formats, float16 and TF32, is 5e-4 a number
TOLERANCE = 1e-4
BATCH_SIZES = (1, 7)

Scores = Callable[[Tensor], Tensor]


class ExportError(RuntimeError):
    """The file that was written is not the network; the message says what it did instead."""


@dataclass(frozen=True)
class Subject:
    """What is exported.

    Attributes:
        trained: the network, and what its scores mean.
        normalises: whether the file is to normalise the images itself.
        batch: how many images a call takes; None for any number.
    """

    trained: TrainedNetwork
    normalises: bool = False
    batch: int | None = None

    @property
    def in_shape(self) -> tuple[int, ...]:
        return tuple(self.trained.network.in_shape)

    @property
    def normalisation(self) -> Mapping[str, Sequence[float]] | None:
        """What the images have to be normalised by before the file is given them."""
        return None if self.normalises else self.trained.normalisation

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the batches by which the file is checked."""
        return BATCH_SIZES if self.batch is None else (self.batch,)

    def plain(self) -> nn.Sequential:
        """The network of `torch.nn`'s layers, in float32, and before them one that normalises."""
        twin: Any = to_torch(self.trained.network).float().to(memory_format=torch.contiguous_format)
        layers = list(twin.named_children())
        if self.normalises:
            layers.insert(0, ("normalise", normalising_layer(self.trained.normalisation or {})))
        return nn.Sequential(OrderedDict(layers)).eval().requires_grad_(False)

    def example(self, size: int) -> Tensor:
        """Images as the file takes them, drawn at random: normalised ones, or from 0 to 1."""
        random = torch.Generator().manual_seed(size)
        draw = torch.rand if self.normalises else torch.randn
        return draw(size, *self.in_shape, generator=random)

    def scores(self, images: Tensor) -> Tensor:
        """Of such images, by the network itself in float64."""
        images = images.double()
        if self.normalises and self.trained.normalisation is not None:
            mean, std = (
                torch.tensor(self.trained.normalisation[name], dtype=torch.float64)
                for name in ("mean", "std")
            )
            images = (images - mean[:, None, None]) / std[:, None, None]
        result: Tensor = deepcopy(self.trained.network).double().eval()(images)
        return result

    def described(self) -> dict[str, Any]:
        """What a reader of the file may want to know."""
        return {
            "in_shape": list(self.in_shape),
            "classes": self.trained.classes and list(self.trained.classes),
            "normalisation": self.normalisation
            and {name: list(each) for name, each in self.normalisation.items()},
            "dataset": self.trained.dataset,
        }


def normalising_layer(normalisation: Mapping[str, Sequence[float]]) -> nn.Conv2d:
    """``(x − mean) / std`` as a 1×1 convolution, each channel by itself."""
    mean, std = (torch.tensor(normalisation[name], dtype=torch.float64) for name in ("mean", "std"))
    layer = nn.Conv2d(len(mean), len(mean), 1, groups=len(mean))
    layer.weight.data.copy_((1 / std)[:, None, None, None])
    layer.bias.data.copy_(-mean / std)  # type: ignore[union-attr]
    return layer


class Checked(NamedTuple):
    """How far the loaded file's scores are from the checkpoint's, and the largest of those."""

    difference: float
    largest: float


def export(subject: Subject, kind: str, file: Path) -> Checked:
    """Write a file, whole or not at all.

    Args:
        subject: the network.
        kind: one of `ansnet.training.formats.FORMATS`.
        file: where to; it is written beside under another name, checked, and then takes its place.

    Raises:
        ExportError: what was written gives other scores.
        WeightsError: a weight is not a number.
        OSError: the folder cannot be written to.
    """
    write, load = FUNCTIONS[kind]
    with quiet(), whole(file) as written:
        write(subject, written)
        return check(subject, load(written))


@torch.no_grad()
def check(subject: Subject, scores: Scores) -> Checked:
    """Compare what a loaded file computes with the network itself, on batches of several sizes.

    Raises:
        ExportError: the scores differ by more than rounding, or are not numbers, or not as many.
    """
    difference = largest = 0.0
    for size in subject.sizes:
        images = subject.example(size)
        right = subject.scores(images)
        if not right.isfinite().all():
            raise ExportError("the checkpoint's own scores are not finite: it was trained to nothing")
        found = scores(images)
        if found.shape != right.shape:
            raise ExportError(f"of {size} images it gives scores of shape {tuple(found.shape)}")
        largest = max(largest, float(right.abs().max()))
        difference = max(difference, float((found.double() - right).abs().nan_to_num(torch.inf).max()))
    if not difference <= TOLERANCE * largest:
        raise ExportError(
            f"loaded again, it gives scores that differ by up to {difference:.2g}; the largest is "
            f"{largest:.2g}"
        )
    return Checked(difference, largest)


@contextmanager
def quiet() -> Iterator[None]:
    """Nothing compiled for a few images, and nothing said of what a user can do nothing about."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.compiler.set_stance("force_eager"):
        # PyTorch's exporters of its own functions that are to go
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        # torch.export.load of torch 2.11, of the weights that it has read itself
        warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
        yield


def traced(subject: Subject) -> torch.export.ExportedProgram:
    """The program of the network, for batches of any size or of the one asked for."""
    dynamic = ({0: torch.export.Dim("batch", min=1)},) if subject.batch is None else None
    images = subject.example(subject.batch or 2)
    return torch.export.export(subject.plain(), (images,), dynamic_shapes=dynamic)


def write_pt2(subject: Subject, file: Path) -> None:
    described = {"ansnet.json": json.dumps(subject.described())}
    program = traced(subject)
    with file.open("wb") as stream:  # not by its name, which has to end in .pt2
        torch.export.save(program, stream, extra_files=described)


def load_pt2(file: Path) -> Scores:
    with file.open("rb") as stream:
        loaded: Scores = torch.export.load(stream).module()
    return loaded


def write_onnx(subject: Subject, file: Path) -> None:
    program = torch.onnx.export(
        traced(subject), dynamo=True, input_names=["images"], output_names=["scores"], verbose=False
    )
    assert program is not None  # a path, which is not given, gives None
    for name, value in subject.described().items():
        program.model.metadata_props[name] = json.dumps(value)
    program.save(file, external_data=False)


def load_onnx(file: Path) -> Scores:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def scores(images: Tensor) -> Tensor:
        (result,) = session.run(None, {"images": images.numpy()})
        return torch.from_numpy(result)

    return scores


def write_torch(subject: Subject, file: Path) -> None:
    network = subject.plain()
    source, state = plain_source(network), dict(network.state_dict())
    with file.open("wb") as stream:
        torch.save({"source": source, "state_dict": state, **subject.described()}, stream)


def load_torch(file: Path) -> Scores:
    saved = torch.load(file, weights_only=True)
    names: dict[str, Any] = {"__name__": "exported"}
    exec(saved["source"], names)
    network: nn.Module = names["network"]
    network.load_state_dict(saved["state_dict"])
    return network.eval()


def write_safetensors(subject: Subject, file: Path) -> None:
    network = deepcopy(subject.trained.network).float()
    write_weights(file, replace(subject.trained, network=network), dtype=None)


def load_safetensors(file: Path) -> Scores:
    return read_weights(file).network


FUNCTIONS: dict[str, tuple[Callable[[Subject, Path], None], Callable[[Path], Scores]]] = {
    "onnx": (write_onnx, load_onnx),
    "torch": (write_torch, load_torch),
    "safetensors": (write_safetensors, load_safetensors),
    "pt2": (write_pt2, load_pt2),
}
"""What writes a subject's file, and what gives what a file computes."""
