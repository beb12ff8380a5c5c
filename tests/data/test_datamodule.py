"""`ansnet.data.datamodule`, on images whose pixels tell their place."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms

from ansnet.data import CIFAR10DataModule, Shapes10DataModule
from ansnet.data.augmentation import MEAN, STD, Augmentation
from ansnet.data.batches import Batches, Images
from ansnet.data.datamodule import ImageDataModule

# Every pixel another: red is the row, green the column, blue marks what is image and not padding.
ROW, COLUMN = np.mgrid[0:32, 0:32]
PLACES = np.stack([ROW, COLUMN, np.full((32, 32), 255)], -1).astype(np.uint8)


class PlacesDataModule(ImageDataModule):
    def subset(self, train: bool) -> Images:
        return Images(torch.from_numpy(PLACES).expand(64, -1, -1, -1), torch.arange(64))


def pixels(images: Tensor) -> Tensor:
    """Undo the normalisation: N × 3 × 32 × 32 bytes."""
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (MEAN, STD))
    return (255 * (images * std + mean)).round()


def epoch(batches: Batches) -> tuple[Tensor, Tensor]:
    images, targets = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(targets)


def test_augmentation_flips_and_crops_each_image_anew() -> None:
    batches = PlacesDataModule(batch_size=16, augmentation=Augmentation()).train_dataloader()
    places = set()
    for images, _ in (epoch(batches) for _ in range(8)):
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


def test_without_augmentation_and_for_validation_images_never_change() -> None:
    data = PlacesDataModule(batch_size=64, augmentation=Augmentation())
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    expected = transform(Image.fromarray(PLACES)).expand(64, -1, -1, -1)
    loaders = [data.val_dataloader(), data.untouched_train_dataloader()]
    for loader in [*loaders, PlacesDataModule(batch_size=64).train_dataloader()]:
        for _ in range(2):
            # float32's rounding: another order of the same division, subtraction and multiplication
            torch.testing.assert_close(epoch(loader)[0], expected, rtol=0, atol=1e-6)


def test_each_loader_has_its_own_images() -> None:
    class UnequalDataModule(ImageDataModule):
        def subset(self, train: bool) -> Images:
            size = 5 if train else 3
            return Images(torch.zeros(size, 4, 4, 3, dtype=torch.uint8), torch.arange(size))

    data = UnequalDataModule(batch_size=8)
    loaders = data.train_dataloader(), data.untouched_train_dataloader(), data.val_dataloader()
    assert [len(epoch(loader)[1]) for loader in loaders] == [5, 5, 3]


@pytest.mark.parametrize("kind", [PlacesDataModule, CIFAR10DataModule, Shapes10DataModule])
def test_what_a_data_module_does_unless_it_is_told(kind: type[ImageDataModule]) -> None:
    data = kind()
    assert (data.batch_size, data.augmentation, data.channels_last, data.seed) == (128, None, False, 0)


def test_the_order_is_shuffled_anew_and_hangs_on_the_seed() -> None:
    loader, same, other = (
        PlacesDataModule(batch_size=16, seed=seed).train_dataloader() for seed in (1, 1, 2)
    )
    (_, first), (_, second) = epoch(loader), epoch(loader)
    assert first.sort().values.tolist() == list(range(64))
    assert not torch.equal(first, second)
    assert torch.equal(epoch(same)[1], first)
    assert not torch.equal(epoch(other)[1], first)


@pytest.mark.parametrize("loader", ["val", "test", "predict"])
def test_the_validation_order_is_that_of_the_data_set(loader: str) -> None:
    data = PlacesDataModule(batch_size=48)
    assert [targets.tolist() for _, targets in getattr(data, f"{loader}_dataloader")()] == [
        list(range(48)),
        list(range(48, 64)),
    ]


@pytest.mark.parametrize("loader", ["train", "val", "untouched_train"])
def test_the_trainers_processes_share_the_images(loader: str) -> None:
    shares = []
    for rank in range(2):
        data = PlacesDataModule(batch_size=16, augmentation=Augmentation())
        strategy = SimpleNamespace(root_device=torch.device("cpu"))
        data.trainer = SimpleNamespace(  # type: ignore[assignment]
            strategy=strategy, global_rank=rank, world_size=2
        )
        shares.append(epoch(getattr(data, f"{loader}_dataloader")())[1])
    assert torch.cat(shares).sort().values.tolist() == list(range(64))


@pytest.mark.cuda
def test_the_images_lie_on_the_trainers_device() -> None:
    data = PlacesDataModule(batch_size=64, augmentation=Augmentation())
    strategy = SimpleNamespace(root_device=torch.device("cuda", 0))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        strategy=strategy, global_rank=0, world_size=1
    )
    (images, targets), *_ = data.train_dataloader()
    assert {images.device, targets.device, data.subsets["train"].pixels.device} == {
        strategy.root_device
    }
