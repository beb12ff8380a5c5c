"""What the data modules have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import torch

from ansnet.compatibility import lightning
from ansnet.data.augmentation import MEAN, STD, Augmentation
from ansnet.data.batches import Batches, Images, Order


class DataError(RuntimeError):
    """Data that is missing, damaged or out of reach; the message says what to do."""


class ImageDataModule(lightning.LightningDataModule):
    """A training and a validation set of colour images, held in memory.

    The images to test and to predict are the validation images: there are no others.

    Attached to a trainer, the loaders keep the images on its device, and each of its processes sees
    its share of them (`Order`).

    Args:
        batch_size: images a batch.
        augmentation: what is changed at random in the training images; None leaves them as they are.
        channels_last: give the batches in ``torch.channels_last`` memory.
        seed: of the order of the training images and of their augmentation.

    Attributes:
        classes: the names of the classes, in the order of their indices.
        normalisation: the mean and the deviation of red, green and blue that are taken out, in 0..1.
        subsets: the images ``"train"`` and ``"val"``, after ``setup``.
    """

    classes: tuple[str, ...]
    normalisation: Mapping[str, tuple[float, ...]] = MappingProxyType({"mean": MEAN, "std": STD})

    def __init__(
        self,
        batch_size: int = 128,
        augmentation: Augmentation | None = None,
        channels_last: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.channels_last = channels_last
        self.seed = seed
        self.subsets: dict[str, Images] = {}

    @abstractmethod
    def subset(self, train: bool) -> Images:
        """The training or the validation images."""

    def setup(self, stage: str) -> None:
        if not self.subsets:
            self.subsets = {"train": self.subset(train=True), "val": self.subset(train=False)}

    def train_dataloader(self) -> Batches:
        return self.loader("train", self.seed, self.augmentation)

    def val_dataloader(self) -> Batches:
        return self.loader("val")

    def test_dataloader(self) -> Batches:
        return self.loader("val")

    def predict_dataloader(self) -> Batches:
        return self.loader("val")

    def untouched_train_dataloader(self) -> Batches:
        """The training images as the validation images are: in order, and not augmented."""
        return self.loader("train")

    def loader(
        self, name: str, order_seed: int | None = None, augmentation: Augmentation | None = None
    ) -> Batches:
        self.setup("fit")
        device, rank, processes = torch.device("cpu"), 0, 1
        if self.trainer is not None:
            device = self.trainer.strategy.root_device
            rank, processes = self.trainer.global_rank, self.trainer.world_size
        images = self.subsets[name] = self.subsets[name].to(device)
        order = Order(len(images.targets), order_seed, rank, processes)
        return Batches(images, order, self.batch_size, augmentation, self.seed, self.channels_last)
