"""`ansnet.data.datamodule` and `ansnet.data.augmentation`, on images whose pixels tell their place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from ansnet.data.augmentation import MEAN, STD, Transform, training_transform
from ansnet.data.datamodule import ImageDataModule, Sample

# Every pixel another: red is the row, green the column, blue marks what is image and not padding.
ROW, COLUMN = np.mgrid[0:32, 0:32]
PLACES = np.stack([ROW, COLUMN, np.full((32, 32), 255)], -1).astype(np.uint8)


class Places(Dataset[Sample]):
    def __init__(self, transform: Transform) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 64

    def __getitem__(self, index: int) -> Sample:
        return self.transform(Image.fromarray(PLACES)), index


class PlacesDataModule(ImageDataModule):
    def subset(self, train: bool, transform: Transform) -> Dataset[Sample]:
        return Places(transform)


def pixels(images: Tensor) -> Tensor:
    """Undo the normalisation: N × 3 × 32 × 32 bytes."""
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (MEAN, STD))
    return (255 * (images * std + mean)).round()


def epoch(data: ImageDataModule) -> tuple[Tensor, Tensor]:
    images, targets = zip(*data.train_dataloader(), strict=True)
    return torch.cat(images), torch.cat(targets)


def test_augmentation_flips_and_crops_each_image_anew() -> None:
    data = PlacesDataModule(batch_size=16, augment=True)
    places = set()
    for images, _ in (epoch(data) for _ in range(8)):
        for red, green, blue in pixels(images):
            inside = blue == 255
            assert ((blue == 0) | inside).all()
            rows, columns = torch.where(inside)
            flipped = bool(green[rows[0], columns[0]] > green[rows[0], columns[-1]])
            shift = int(red[rows[0], columns[0]] - rows[0])
            across = 31 - columns if flipped else columns
            sideways = int(green[rows[0], columns[0]] - across[0])
            assert (red[inside] - rows == shift).all()
            assert (green[inside] - across == sideways).all()
            places.add((flipped, shift, sideways))
    assert {flipped for flipped, _, _ in places} == {True, False}
    assert {shift for _, shift, _ in places} == set(range(-4, 5))
    assert {sideways for _, _, sideways in places} == set(range(-4, 5))


def test_half_of_the_images_are_flipped() -> None:
    transform = training_transform(augment=True)
    flipped = 0
    for _ in range(1000):
        green = pixels(transform(Image.fromarray(PLACES))[None])[0, 1]
        flipped += bool(green[16, 10] > green[16, 20])
    assert 420 < flipped < 580  # 500 ± 5 standard deviations of 16


def test_without_augmentation_and_for_validation_images_never_change() -> None:
    data = PlacesDataModule(batch_size=64, augment=True)
    loaders = [data.val_dataloader(), data.untouched_train_dataloader()]
    for loader in [*loaders, PlacesDataModule(batch_size=64).train_dataloader()]:
        for images, _ in loader:
            assert (pixels(images) == torch.from_numpy(PLACES).permute(2, 0, 1)).all()


def test_the_order_is_shuffled_anew_and_hangs_on_the_seed() -> None:
    data, same, other = (PlacesDataModule(batch_size=16, seed=seed) for seed in (1, 1, 2))
    (_, first), (_, second) = epoch(data), epoch(data)
    assert first.sort().values.tolist() == list(range(64))
    assert not torch.equal(first, second)
    assert torch.equal(epoch(same)[1], first)
    assert not torch.equal(epoch(other)[1], first)


def test_the_validation_order_is_that_of_the_data_set() -> None:
    data = PlacesDataModule(batch_size=48)
    assert [targets.tolist() for _, targets in data.val_dataloader()] == [
        list(range(48)),
        list(range(48, 64)),
    ]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_workers_load_the_same(num_workers: int) -> None:
    data = PlacesDataModule(batch_size=16, num_workers=num_workers, seed=1)
    assert torch.equal(epoch(data)[1], epoch(PlacesDataModule(batch_size=16, seed=1))[1])
