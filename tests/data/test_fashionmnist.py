"""`ansnet.data.fashionmnist`, on ten random images in the layout of the real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.datasets import FashionMNIST

from ansnet.data import DataError, FashionMNISTDataModule


def test_grey_images_get_a_black_border_and_three_channels(tiny_fashionmnist: Path) -> None:
    data = FashionMNISTDataModule(tiny_fashionmnist)
    data.prepare_data()
    pixels, targets = data.images("train")
    assert pixels.shape == (10, 32, 32, 3)
    assert targets.tolist() == list(range(10))
    grey = FashionMNIST(tiny_fashionmnist, train=True).data
    assert torch.equal(pixels[:, 2:30, 2:30], grey[..., None].expand(10, 28, 28, 3))
    border = torch.ones(32, 32, dtype=torch.bool)
    border[2:30, 2:30] = False
    assert not pixels[:, border].any()
    assert len(set(data.normalisation["mean"])) == 1


def test_a_damaged_file_is_told(tiny_fashionmnist: Path) -> None:
    data = FashionMNISTDataModule(tiny_fashionmnist)
    data.prepare_data()
    (data.raw / "t10k-images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3]) + bytes(11))
    with pytest.raises(DataError, match=r"Fashion-MNIST is damaged: .*delete .*raw"):
        data.images("val")


def test_where_it_is_not_its_name_is_said(tiny_fashionmnist: Path) -> None:
    with pytest.raises(DataError, match=r"no Fashion-MNIST in .*holds FashionMNIST/raw with"):
        FashionMNISTDataModule(tiny_fashionmnist / "elsewhere").prepare_data()
