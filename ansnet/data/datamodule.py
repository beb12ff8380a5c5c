"""What the data modules have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ansnet.compatibility import lightning
from ansnet.data.augmentation import Transform, evaluation_transform, training_transform

Sample = tuple[Tensor, int]


class DataError(RuntimeError):
    """Data that is missing, damaged or out of reach; the message says what to do."""


class ImageDataModule(lightning.LightningDataModule):
    """A training and a validation set of 32×32 colour images.

    Args:
        batch_size: images a batch.
        augment: flip and crop the training images at random.
        num_workers: processes that load images; 0 loads them in the training process.
        seed: of the order of the training images.

    Attributes:
        classes: the names of the classes, in the order of their indices.
    """

    classes: tuple[str, ...]

    def __init__(
        self, batch_size: int = 128, augment: bool = False, num_workers: int = 0, seed: int = 0
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.augment = augment
        self.num_workers = num_workers
        self.shuffle_order = torch.Generator().manual_seed(seed)
        self.subsets: dict[str, Dataset[Sample]] = {}

    @abstractmethod
    def subset(self, train: bool, transform: Transform) -> Dataset[Sample]:
        """The training or the validation images, each sent through ``transform``."""

    def setup(self, stage: str) -> None:
        if not self.subsets:
            self.subsets = {
                "train": self.subset(train=True, transform=training_transform(self.augment)),
                "val": self.subset(train=False, transform=evaluation_transform()),
            }

    def train_dataloader(self) -> DataLoader[Sample]:
        self.setup("fit")
        return self.loader(self.subsets["train"], shuffle=True, generator=self.shuffle_order)

    def val_dataloader(self) -> DataLoader[Sample]:
        self.setup("validate")
        return self.loader(self.subsets["val"])

    def untouched_train_dataloader(self) -> DataLoader[Sample]:
        """The training images as the validation images are: in order, and not augmented."""
        self.setup("fit")
        if not self.augment:
            return self.loader(self.subsets["train"])
        return self.loader(self.subset(train=True, transform=evaluation_transform()))

    def loader(self, subset: Dataset[Sample], **options: Any) -> DataLoader[Sample]:
        return DataLoader(
            subset,
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            **options,
        )
