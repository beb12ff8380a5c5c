"""A few random images in the layout of each data set that is downloaded, under the same checks."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100, SVHN, FashionMNIST

from ansnet.data import CIFAR100DataModule

SVHN_LABELS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 1]  # 10 stands for the digit 0


@pytest.fixture
def tiny_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``cifar-10-python.tar.gz``; torchvision expects these files' checksums."""
    draw = np.random.default_rng(0)
    source = tmp_path / "source" / CIFAR10.base_folder
    source.mkdir(parents=True)
    checksums = {}
    names = [name for name, _ in CIFAR10.train_list + CIFAR10.test_list]
    contents = {
        name: {
            "data": draw.integers(256, size=(10, 3072), dtype=np.uint8),
            "labels": list(range(10)),
        }
        for name in names
    }
    for name, content in {**contents, "batches.meta": {"label_names": list("abcdefghij")}}.items():
        (source / name).write_bytes(pickle.dumps(content))
        checksums[name] = hashlib.md5((source / name).read_bytes()).hexdigest()
    for attribute in ("train_list", "test_list"):
        listed = [[name, checksums[name]] for name, _ in getattr(CIFAR10, attribute)]
        monkeypatch.setattr(CIFAR10, attribute, listed)
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": checksums["batches.meta"]})
    folder = tmp_path / "archive"
    folder.mkdir()
    with tarfile.open(folder / CIFAR10.filename, "w:gz") as archive:
        archive.add(source, CIFAR10.base_folder)
    checksum = hashlib.md5((folder / CIFAR10.filename).read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "tgz_md5", checksum)
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")  # nobody answers
    return folder


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


@pytest.fixture
def tiny_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the two files; torchvision expects their checksums."""
    io = pytest.importorskip("scipy.io", reason="needs scipy")
    draw, listed = np.random.default_rng(0), dict(SVHN.split_list)
    for split in ("train", "test"):
        path = tmp_path / f"{split}_32x32.mat"
        images = draw.integers(256, size=(32, 32, 3, len(SVHN_LABELS)), dtype=np.uint8)
        io.savemat(path, {"X": images, "y": np.array(SVHN_LABELS, np.uint8)[:, None]})
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        listed[split] = [f"http://127.0.0.1:9/{path.name}", path.name, md5]  # nobody answers
    monkeypatch.setattr(SVHN, "split_list", listed)
    return tmp_path


@pytest.fixture
def tiny_fashionmnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the four packed files; torchvision expects their checksums."""
    draw = np.random.default_rng(0)
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    images, labels = draw.integers(1, 256, size=(10, 28, 28), dtype=np.uint8), bytes(range(10))
    listed = []
    for name, _ in FashionMNIST.resources:
        if "images" in name:  # 0, 0, bytes, dimensions; and their sizes, the highest byte first
            content = bytes([0, 0, 8, 3, *b"\0\0\0\x0a\0\0\0\x1c\0\0\0\x1c"]) + images.tobytes()
        else:
            content = bytes([0, 0, 8, 1, *b"\0\0\0\x0a"]) + labels
        (raw / name).write_bytes(gzip.compress(content))
        listed.append((name, hashlib.md5((raw / name).read_bytes()).hexdigest()))
    monkeypatch.setattr(FashionMNIST, "resources", listed)
    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])  # nobody answers
    return tmp_path
