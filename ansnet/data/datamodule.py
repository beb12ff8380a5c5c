"""What the data modules have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property

import torch

from ansnet.compatibility import lightning
from ansnet.data.augmentation import MEAN, STD, Augmentation
from ansnet.data.batches import ORDER, Batches, Images, Order, seeded
from ansnet.data.statistics import mean_and_deviation


class DataError(RuntimeError):
    """Data that is missing, damaged or out of reach; the message says what to do."""


class ImageDataModule(lightning.LightningDataModule):
    """A training and a validation set of colour images, held in memory.

    The images to test and to predict are the validation images: there are no others.

    Attached to a trainer, the loaders keep the images on its device, and each of its processes sees
    its share of them (`Order`): in training as many as each other, otherwise each image once.

    Args:
        batch_size: images a batch.
        augmentation: what is changed at random in the training images; None leaves them as they are.
        channels_last: give the batches in ``torch.channels_last`` memory.
        seed: of the order of the training images and of their augmentation.
        normalisation: ``mean`` and ``std`` of red, green and blue, in 0..1, which are taken out; None
            takes the notebook's (`MEAN`, `STD`), or those of the training images if the class
            ``is_measured``.

    Attributes:
        classes: the names of the classes, in the order of their indices.
        mirrors: whether the mirror image of an image is of the same class.
        is_measured: whether mean and deviation are by default those of the training images.
        subsets: the images ``"train"`` and ``"val"``, as far as they have been read.
    """

    classes: tuple[str, ...]
    mirrors: bool = True
    is_measured: bool = False

    def __init__(
        self,
        batch_size: int = 128,
        augmentation: Augmentation | None = None,
        channels_last: bool = False,
        seed: int = 0,
        normalisation: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.channels_last = channels_last
        self.seed = seed
        self.given_normalisation = normalisation
        self.subsets: dict[str, Images] = {}

    @abstractmethod
    def subset(self, train: bool) -> Images:
        """The training or the validation images."""

    @property
    def notes(self) -> list[str]:
        """What the user should know of the data, as far as it has been read, a line each."""
        return []

    def setup(self, stage: str) -> None:
        for name in ("train", "val"):
            self.images(name)

    def images(self, name: str) -> Images:
        """The images ``"train"`` or ``"val"``, read when they are asked for first."""
        if name not in self.subsets:
            self.subsets[name] = self.subset(train=name == "train")
        return self.subsets[name]

    @cached_property
    def normalisation(self) -> Mapping[str, tuple[float, ...]]:
        """What is taken out of the images; to measure it, the training images are read.

        Raises:
            DataError: there are none.
        """
        if self.given_normalisation is not None:
            return {name: tuple(values) for name, values in self.given_normalisation.items()}
        if not self.is_measured:
            return {"mean": MEAN, "std": STD}
        if "train" not in self.subsets:
            self.prepare_data()
        mean, std = mean_and_deviation(self.images("train").pixels)
        return {"mean": mean, "std": std}

    def train_dataloader(self) -> Batches:
        return self.loader("train", self.seed, self.augmentation, is_trained_by=True)

    def val_dataloader(self) -> Batches:
        return self.loader("val")

    def test_dataloader(self) -> Batches:
        return self.loader("val")

    def predict_dataloader(self) -> Batches:
        return self.loader("val")

    def untouched_train_dataloader(self) -> Batches:
        """The training images as the validation images are: in order, and not augmented."""
        return self.loader("train")

    def few(self, name: str, batches: int, is_trained_by: bool = False) -> Batches:
        """So many batches of images drawn at random, the same ones each time, and not augmented.

        Args:
            name: ``"train"`` or ``"val"``.
            batches: their number; there are fewer of a subset that has no more.
            is_trained_by: see `Order`, ``is_padded``.
        """
        return self.loader(name, batches=batches, is_trained_by=is_trained_by)

    def loader(
        self,
        name: str,
        order_seed: int | None = None,
        augmentation: Augmentation | None = None,
        batches: int | None = None,
        is_trained_by: bool = False,
    ) -> Batches:
        device, rank, processes = torch.device("cpu"), 0, 1
        if self.trainer is not None:
            device = self.trainer.strategy.root_device
            rank, processes = self.trainer.global_rank, self.trainer.world_size
        images, places = self.images(name).to(device), None
        self.subsets[name] = images
        if batches is not None:
            drawn = torch.randperm(len(images.targets), generator=seeded(self.seed, 0, ORDER))
            places = drawn[: batches * self.batch_size * processes].to(device)
            images = Images(images.pixels[places], images.targets[places])
        order = Order(len(images.targets), order_seed, rank, processes, is_padded=is_trained_by)
        return Batches(
            images,
            order,
            self.batch_size,
            augmentation,
            self.seed,
            self.channels_last,
            self.normalisation["mean"],
            self.normalisation["std"],
            places,
        )
