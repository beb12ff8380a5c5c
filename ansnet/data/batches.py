"""Batches of images that lie in memory: taken, augmented and normalised where the network is.

Nothing is done image by image and nothing is copied to the device while it trains, so no processes
are needed beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ansnet.data.augmentation import MEAN, STD, Augmentation, Draws, Normalisation, augment, draw

# what is drawn at random
ORDER, FIRST_FLIPS, CHANGES = range(3)


class Images(NamedTuple):
    """Images and their classes.

    Shapes: N × H × W × 3 bytes; N class indices.
    """

    pixels: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> Images:
        return Images(self.pixels.to(device), self.targets.to(device))


class Order:
    """The order in which one of several processes takes images, epoch by epoch.

    The processes take turns at one order of all images. So what they take in a step is together what
    one process would take with as large a batch.

    Args:
        size: number of images.
        seed: of the shuffling, which is another in each epoch; None takes the images as they lie.
        rank, processes: which of how many processes.
        is_padded: where the number of processes does not divide that of the images, take the first of
            the order once more at its end, as PyTorch's ``DistributedSampler`` does, so that all
            processes take as many steps, which training needs; otherwise each image is taken once.

    Attributes:
        epoch: of the next iteration.
    """

    def __init__(
        self,
        size: int,
        seed: int | None = None,
        rank: int = 0,
        processes: int = 1,
        is_padded: bool = False,
    ) -> None:
        self.size = size
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.is_padded = is_padded
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """For Lightning, which calls it before each epoch: a resumed run takes up the order."""
        self.epoch = epoch

    def __len__(self) -> int:
        own = self.size if self.is_padded else self.size - self.rank
        return ceil(own / self.processes)

    def indices(self) -> Tensor:
        """Indices of this process's images in this epoch."""
        everyones = torch.arange(self.size)
        if self.seed is not None:
            everyones = torch.randperm(self.size, generator=seeded(self.seed, self.epoch, ORDER))
        turns = self.rank + self.processes * torch.arange(len(self))
        return everyones[turns % self.size]


class Position(NamedTuple):
    """How many batches of which epoch have been taken."""

    epoch: int
    batches: int


NOWHERE = Position(-1, 0)


class Batches:
    """An iterable over the batches of an epoch, a new one with each iteration.

    Given the state of another one (`state_dict`), its iteration over the epoch of that state goes on
    where the other one was, with the same batches.

    Args:
        images: on the device that the network is on.
        order: of the images.
        batch_size: images a batch; the last one has what is left. In training, where a batch of one
            image would be normalised by itself and weigh as much as any, a single one that is left
            joins the batch before.
        augmentation: what is changed at random, drawn anew for each image and epoch; None leaves the
            images as they are. Several processes draw the same, for the images of all, and each takes
            what is of its own.
        seed: of what is drawn.
        channels_last: lay the batches out in ``torch.channels_last`` memory.
        mean, std: by which the images are normalised, see `Normalisation`.
        places: indices of the images in the subset that they were drawn from; None if they are all of
            it.

    Attributes:
        trains: whether it is for training: otherwise the order is not shuffled, as a rule.

    Yields:
        Images, N × 3 × H × W, and their classes, N.
    """

    def __init__(
        self,
        images: Images,
        order: Order,
        batch_size: int,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        channels_last: bool = False,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
        places: Tensor | None = None,
    ) -> None:
        self.images = images
        self.places = places
        # the names of DataLoader's attributes, at which Lightning finds what has a `set_epoch`
        self.sampler, self.batch_sampler = order, None
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.seed = seed
        self.channels_last = channels_last
        self.trains = order.seed is not None or order.is_padded
        _, H, W, _ = images.pixels.shape
        self.mean = mean
        self.normalisation = Normalisation(H, W, images.pixels.device, mean, std)
        self.position = Position(0, 0)  # of the iteration that is going on, or was the last
        self.goes_on_from = NOWHERE

    def state_dict(self) -> dict[str, int]:
        """Where the iteration is, for a checkpoint: Lightning asks for it, and gives it back."""
        return self.position._asdict()

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Have the iteration over the state's epoch leave out the batches that were taken before."""
        self.position = self.goes_on_from = Position(**state)

    def __len__(self) -> int:
        return len(self.sizes())

    def sizes(self) -> list[int]:
        """Images in each batch."""
        whole, left = divmod(len(self.sampler), self.batch_size)
        sizes = [self.batch_size] * whole
        if left == 1 and sizes and self.trains:
            sizes[-1] += 1
        elif left:
            sizes.append(left)
        return sizes

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        pixels, targets = self.images
        order, augmentation = self.sampler, self.augmentation
        indices = order.indices().to(pixels.device)
        if augmentation is not None:
            draws = seeded(self.seed, order.epoch, CHANGES, pixels.device)
            flipped = self.flipped_in(order.epoch) if augmentation.flip == "alternating" else None
        epoch, taken = order.epoch, 0
        if epoch == self.goes_on_from.epoch:
            taken, self.goes_on_from = self.goes_on_from.batches, NOWHERE
        order.epoch += 1
        for place, batch in enumerate(indices.split(self.sizes()), 1):
            if augmentation is not None:  # also for those that are left out: the next ones follow
                shape = len(batch) * order.processes, *pixels.shape[1:]
                everyones = draw(shape, augmentation, draws)
                drawn = Draws(*(each[order.rank :: order.processes] for each in everyones))
            if place <= taken:
                continue
            self.position = Position(epoch, place)
            images = pixels.index_select(0, batch)
            if augmentation is not None:
                if flipped is not None:
                    drawn = drawn._replace(flip=flipped[batch])
                images = augment(images, augmentation, drawn, self.mean)
            images = self.normalisation(images).permute(0, 3, 1, 2)
            yield images if self.channels_last else images.contiguous(), targets[batch]

    def indices(self, epoch: int, batch: int) -> Tensor:
        """Indices in the subset of the images of a batch, both numbered from 0."""
        order = self.sampler
        its_own = Order(order.size, order.seed, order.rank, order.processes)
        its_own.set_epoch(epoch)
        indices = its_own.indices().split(self.sizes())[batch]
        return indices if self.places is None else self.places.to(indices.device)[indices]

    def flipped_in(self, epoch: int) -> Tensor:
        """Which images an epoch flips if they alternate, whichever process takes them."""
        targets = self.images.targets
        first = torch.randint(2, targets.shape, generator=seeded(self.seed, 0, FIRST_FLIPS))
        return (first.to(targets.device) + epoch) % 2 == 1


def seeded(seed: int, epoch: int, purpose: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that has nothing in common with that of another seed, epoch or purpose."""
    mixed = np.random.SeedSequence((seed, epoch, purpose)).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(mixed[0]))
