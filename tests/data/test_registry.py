"""`ansnet.data.registry`."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansnet.data import DataError, FolderDataModule
from ansnet.data.augmentation import MEAN, STD
from ansnet.data.downloaded import DownloadedDataModule
from ansnet.data.registry import DATA_MODULES, make_data_module
from ansnet.training.datasets import DATASETS

CLASSES = {"cifar10": 10, "cifar100": 100, "svhn": 10, "fashionmnist": 10, "shapes10": 10}


def test_the_command_line_knows_the_same_names() -> None:
    assert tuple(DATA_MODULES) == DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_each_is_made_by_its_name(name: str, tmp_path: Path) -> None:
    data = make_data_module(name, tmp_path, None, batch_size=7, seed=3)
    assert type(data) is DATA_MODULES[name]
    assert (data.batch_size, data.seed) == (7, 3)
    assert len(set(data.classes)) == CLASSES[name]
    assert data.mirrors == (name != "svhn")
    if isinstance(data, DownloadedDataModule):
        assert data.data_dir == tmp_path


def test_the_notebooks_numbers_are_those_of_cifar10_and_shapes10() -> None:
    for name in ("cifar10", "shapes10"):
        assert make_data_module(name).normalisation == {"mean": MEAN, "std": STD}


def test_a_folder_is_named_by_its_path(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(2):
            (tmp_path / name / f"{i}.png").touch()
    data = make_data_module(f"folder:{tmp_path}", batch_size=5)
    assert isinstance(data, FolderDataModule)
    assert data.layout.folder == tmp_path


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(DataError, match="unknown data set 'cifr10': known are cifar10, cifar100,"):
        make_data_module("cifr10")
