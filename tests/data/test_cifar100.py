"""`ansnet.data.cifar100`, on a hundred random images in the layout of the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.datasets import CIFAR100

from ansnet.data import CIFAR100DataModule, DataError


def test_it_is_read_with_its_fine_classes(tiny_cifar100: Path) -> None:
    data = CIFAR100DataModule(tiny_cifar100 / CIFAR100.base_folder)
    data.prepare_data()
    pixels, targets = data.images("train")
    assert targets.tolist() == list(range(100))
    expected = torch.from_numpy(CIFAR100(tiny_cifar100, train=True).data)
    assert torch.equal(pixels, expected)
    mean = (expected.double() / 255).mean((0, 1, 2))
    assert data.normalisation["mean"] == pytest.approx(mean.tolist())


def test_the_classes_are_sorted_as_published() -> None:
    classes = CIFAR100DataModule.classes
    assert classes == tuple(sorted(classes))
    assert (classes[0], classes[52], classes[99]) == ("apple", "oak_tree", "worm")


def test_where_it_is_not_its_own_name_is_said(tiny_cifar100: Path) -> None:
    with pytest.raises(DataError, match=r"no CIFAR-100 in .*holds cifar-100-python or cifar-100-"):
        CIFAR100DataModule(tiny_cifar100 / "elsewhere").prepare_data()
    (tiny_cifar100 / CIFAR100.base_folder / "test").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"CIFAR-100 is damaged: .*test does not have"):
        CIFAR100DataModule(tiny_cifar100).prepare_data()
