"""`ansnet.data.cifar100`, on a hundred random images in the layout of the real ones."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR100

from ansnet.data import CIFAR100DataModule, DataError


@pytest.fixture
def tiny_cifar100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``cifar-100-python``; torchvision expects these files' checksums."""
    draw = np.random.default_rng(0)
    folder = tmp_path / CIFAR100.base_folder
    folder.mkdir()
    contents: dict[str, dict[str, object]] = {
        name: {
            "data": draw.integers(256, size=(100, 3072), dtype=np.uint8),
            "fine_labels": list(range(100)),
            "coarse_labels": [0] * 100,
        }
        for name in ("train", "test")
    }
    contents["meta"] = {"fine_label_names": list(CIFAR100DataModule.classes)}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
    md5 = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in contents}
    monkeypatch.setattr(CIFAR100, "train_list", [["train", md5["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", md5["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": md5["meta"]})
    monkeypatch.setattr(CIFAR100, "url", "http://127.0.0.1:9/cifar-100-python.tar.gz")
    return tmp_path


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
