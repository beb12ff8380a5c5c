"""Whether a network and its batch fit into the memory that there is, before any of it is asked for.

What is kept from the forward pass for the backward pass is found on the device "meta", where nothing is
computed: all that the Functions of the network save for two images, counted once each. With P the
network's parameters in bytes, k moments of the optimizer, e = 1 where the weights are averaged, and A
bytes saved for each image of a batch of N, a training needs at its peak

    at least   max(P·(1 + e) + N·A, P·(2 + k + e))
    about      P·(2 + k + e) + 2·N·(A + L)

where L is the largest output of a layer. The factor 2 is for gradients and for what a heap does not use
again at once; it is not derived, but found beside what runs have needed
(``benchmarks/memory_needed.py``). Only what cannot be, by the first, is refused; a batch that would fit
is named by the second. A batch between the two is trained, and it is said that it may not fit.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ansnet.data import ImageDataModule
from ansnet.models import Network, create_model
from ansnet.training.batch_of_one import check_batch_of_one
from ansnet.training.devices import number_of_processes
from ansnet.training.machine import device_type
from ansnet.training.memory_available import available_memory
from ansnet.training.recipes import numbers_kept
from ansnet.training.settings import Settings, SettingsError

BYTES = {"64-true": (8, 8), "bf16-true": (2, 2), "16-mixed": (4, 2), "bf16-mixed": (4, 2)}
"""Of a weight and of a number of an activation; of other precisions 4 and 4."""
GIB = 2**30
MARGIN = 1.2
"""A run has needed up to 1.13 of the estimate (``benchmarks/results/checks/memory_needed.csv``)."""


@dataclass(frozen=True)
class Needed:
    """Bytes of a training, each of the two at least and about.

    Attributes:
        resting: parameters, their gradients, the optimizer's moments and the averaged weights.
        parameters: of these what is there during the forward pass for certain.
        saved: for each image of the batch, from the forward pass for the backward pass.
        expected: the same with the largest gradients.
    """

    resting: int
    parameters: int
    saved: int
    expected: int

    def at_least(self, images: int) -> int:
        return max(self.parameters + images * self.saved, self.resting)

    def about(self, images: int) -> int:
        return self.resting + images * self.expected

    def largest_batch(self, available: int) -> int:
        """Images of the largest batch that would fit; 0 if not even one does."""
        by_estimate = (available - self.resting) // max(self.expected, 1)
        if by_estimate > 0:
            return by_estimate
        return int(self.at_least(1) <= available)


def needed(settings: Settings, num_classes: int) -> Needed:
    """What a training needs on each of its devices.

    Args:
        settings: of the training.
        num_classes: outputs of the network.

    Raises:
        UnknownModelError, NotationError: see `create_model`.
    """
    with torch.device("meta"):
        network = create_model(settings.model, num_classes)
    of_weight, of_activation = BYTES.get(str(settings.precision), (4, 4))
    parameters = of_weight * sum(each.numel() for each in network.parameters())
    moments = numbers_kept(settings.optimizer, settings.momentum)
    averages = int(settings.ema is not None)
    traced = trace(network)
    # generated code computes again what is quick to compute, but never a convolution's input
    saved = traced.inputs if settings.compile == "network" else traced.saved
    return Needed(
        resting=(2 + moments + averages) * parameters,
        parameters=(1 + averages) * parameters,
        saved=saved * of_activation // 4,
        expected=2 * (traced.saved + traced.largest) * of_activation // 4,
    )


@dataclass(frozen=True)
class Traced:
    """Bytes in float32 of an image on its way through a network.

    Attributes:
        saved: for the backward pass.
        inputs: of convolutions and linear layers, which are part of them.
        largest: the largest output of a layer.
    """

    saved: int
    inputs: int
    largest: int


def trace(network: Network) -> Traced:
    """Follow two images through a network that is on the device "meta", as in training."""
    weights = {id(each) for each in network.parameters()}
    saved, inputs, largest = dict[int, int](), dict[int, int](), [0]

    def keep(tensor: Tensor) -> Tensor:
        if id(tensor) not in weights:
            storage = tensor.untyped_storage()
            saved[storage._cdata] = storage.nbytes()
        return tensor

    def note(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        largest[0] = max(largest[0], output.untyped_storage().nbytes())
        if isinstance(layer, nn.Conv2d | nn.Linear):
            storage = given[0].untyped_storage()
            inputs[storage._cdata] = storage.nbytes()

    alive: list[Any] = []  # a storage that was let go of might come again as another
    layers = [each for each in network.modules() if not any(True for _ in each.children())]
    hooks = [each.register_forward_hook(note) for each in layers]
    hooks += [each.register_forward_hook(lambda *told: alive.append(told[1:])) for each in layers]
    images = torch.zeros(2, *network.in_shape, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        alive.append(network.train()(images))
    for hook in hooks:
        hook.remove()
    return Traced(sum(saved.values()) // 2, sum(inputs.values()) // 2, largest[0] // 2)


def check_network(settings: Settings, num_classes: int) -> None:
    """Refuse a network that cannot be trained in the memory that there is, by any batch.

    Raises:
        SettingsError: naming how much it needs, and how much there is.
        UnknownModelError, NotationError: see `create_model`.
    """
    check(settings, num_classes, 1)


def check_batch(settings: Settings, data: ImageDataModule) -> None:
    """Refuse a batch that does not fit into memory, or is of too few images, of those that there are.

    Raises:
        SettingsError: naming the largest that would fit; or see `check_batch_of_one`.
    """
    images = images_of_a_process(settings, data)
    check_batch_of_one(settings, len(data.classes), images)
    check(settings, len(data.classes), min(settings.batch_size, images))


def images_of_a_process(settings: Settings, data: ImageDataModule) -> int:
    """How many of the training images each process is given."""
    return -(-len(data.images("train").targets) // number_of_processes(settings))


def check(settings: Settings, num_classes: int, images: int) -> None:
    """Refuse so many images a device.

    Raises:
        SettingsError: as `check_network` and `check_batch`.
    """
    share = share_of_memory(settings)
    if share is None:
        return
    wanted = needed(settings, num_classes)
    if wanted.at_least(images) <= share:
        return
    there = in_words(settings, share)
    largest = wanted.largest_batch(share)
    if images == 1 or not largest:
        raise SettingsError(
            f"--model {shortened(settings.model)}: to train it by --optimizer {settings.optimizer}, a "
            f"batch of one image needs at least {in_units(wanted.at_least(1))} of memory, and {there}; "
            "name a smaller network"
        )
    raise SettingsError(
        f"--batch-size {settings.batch_size}: {images:,} images need at least "
        f"{in_units(wanted.at_least(images))} of memory, and {there}; the largest that fits is about "
        f"--batch-size {min(largest, images - 1)}"
    )


def memory_remarks(settings: Settings, data: ImageDataModule) -> list[str]:
    """A line where the batch may not fit, which the operating system would end without a word.

    Args:
        settings: that `check_batch` has let pass.
        data: with its images loaded.
    """
    share = share_of_memory(settings)
    if share is None:
        return []
    images = min(settings.batch_size, images_of_a_process(settings, data))
    wanted = needed(settings, len(data.classes))
    if wanted.about(images) * MARGIN <= share:
        return []
    line = (
        f"memory: {images:,} images need about {in_units(wanted.about(images))}, and "
        f"{in_words(settings, share)}; the run may be killed without a word"
    )
    largest = wanted.largest_batch(int(share / MARGIN))
    return [f"{line}, by about --batch-size {largest} it is not" if 0 < largest < images else line]


def share_of_memory(settings: Settings) -> int | None:
    """Bytes that a process of a training can still have; None where that is not known.

    Nor is it looked up in a process that another one has begun, which has looked.
    """
    kind = device_type(settings)
    available = available_memory(kind)
    if available is None or "LOCAL_RANK" in os.environ:
        return None
    return available // (settings.devices if kind == "cpu" else 1)  # there a device is a process


def in_words(settings: Settings, share: int) -> str:
    """What `share_of_memory` has found."""
    kind = device_type(settings)
    where = {"cpu": "this machine", "cuda": "the GPU"}[kind]
    there = f"{where} has {in_units(share)} to spare"
    if settings.devices > 1 and kind == "cpu":
        there += f" for each of {settings.devices} processes"
    return there


def why_not_shown(network: Network, images: int = 1) -> str | None:
    """Why so many images cannot be shown to a network, without training; None if they may fit.

    At the largest layer, its input and output are there at once.

    Args:
        network: on the device "meta", or any.
        images: of a batch.
    """
    available = available_memory("cpu")
    if available is None:
        return None
    with torch.device("meta"):
        twin = Network(network.notation, network.in_shape, network.bias)
    parameters = sum(each.nbytes for each in twin.parameters())
    sizes: list[int] = []

    def note(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        sizes.append(given[0].nbytes + output.nbytes)

    for layer in twin.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(note)
    with torch.no_grad():
        twin.eval()(torch.zeros(1, *twin.in_shape, device="meta"))
    wanted = parameters + images * max(sizes)
    if wanted <= available:
        return None
    shown = f"showing it {images:,} images" if images > 1 else "showing it an image"
    return f"{shown} takes at least {in_units(wanted)} of memory, and {in_units(available)} are free"


def in_units(count: int) -> str:
    return f"{count / GIB:,.1f} GiB" if count >= GIB / 10 else f"{count / 2**20:,.1f} MiB"


def shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
