"""A CIFAR-10 of sixty random images, in the layout and under the checks of the real one."""

from __future__ import annotations

import hashlib
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10


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
