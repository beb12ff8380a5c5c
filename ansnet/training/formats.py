"""The files that a trained network is exported to: their names, what they need, how they are loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

ONNX_CODE = """\
import onnxruntime, torch
session = onnxruntime.InferenceSession({file!r})
{images}
(scores,) = session.run(None, {{"images": images.numpy()}})"""
TORCH_CODE = """\
import torch
saved = torch.load({file!r}, weights_only=True)
exec(saved["source"])  # defines network; or print it, and copy it into code of your own
network.load_state_dict(saved["state_dict"])
{images}
scores = network.eval()(images)"""
SAFETENSORS_CODE = """\
import torch
from pathlib import Path
from ansnet.models.weights import read_weights
network = read_weights(Path({file!r})).network
{images}
scores = network(images)"""
PT2_CODE = """\
import torch
network = torch.export.load({file!r}).module()
{images}
scores = network(images)"""


class Format(NamedTuple):
    """A kind of file.

    Attributes:
        suffixes: which its name may have, the usual one first.
        holds: what is in it.
        packages: those needed beside PyTorch.
        is_program: whether it is a program of its own, and not weights that one is built for.
        code: how a user loads it, and computes ``scores`` of ``images`` (`loading_code`).
    """

    suffixes: tuple[str, ...]
    holds: str
    packages: tuple[str, ...]
    is_program: bool
    code: str


FORMATS = {
    "onnx": Format(
        (".onnx",),
        "the network as an ONNX graph, for ONNX Runtime and others",
        ("onnx", "onnxscript", "onnxruntime"),
        True,
        ONNX_CODE,
    ),
    "torch": Format(
        (".pt", ".pth"),
        "weights, and the lines that build the network of torch.nn; loaded without ansnet",
        (),
        False,
        TORCH_CODE,
    ),
    "safetensors": Format(
        (".safetensors",),
        "weights, and what they are of, for ansnet",
        ("safetensors",),
        False,
        SAFETENSORS_CODE,
    ),
    "pt2": Format(
        (".pt2",),
        "the network as a program of torch.export; loaded without ansnet",
        (),
        True,
        PT2_CODE,
    ),
}


def loading_code(
    kind: str,
    file: str,
    shape: Sequence[int],
    normalisation: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Python that loads an exported file, and computes ``scores`` of ``images``.

    Args:
        kind: one of `FORMATS`.
        file: its path.
        shape: of the images, N × channels × height × width.
        normalisation: ``mean`` and ``std`` of each channel, if the images have to be normalised.
    """
    images = f"images = torch.rand({', '.join(map(str, shape))})  # yours, from 0 to 1"
    if normalisation is not None:
        mean, std = (list(normalisation[name]) for name in ("mean", "std"))
        images += (
            f"\nmean, std = torch.tensor({mean}), torch.tensor({std})"
            "\nimages = (images - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)"
        )
    return FORMATS[kind].code.format(file=file, images=images)
