"""The data sets by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansnet.data.cifar10 import CIFAR10DataModule
from ansnet.data.cifar100 import CIFAR100DataModule
from ansnet.data.datamodule import DataError, ImageDataModule
from ansnet.data.downloaded import DownloadedDataModule
from ansnet.data.fashionmnist import FashionMNISTDataModule
from ansnet.data.folder import FolderDataModule
from ansnet.data.shapes10 import Shapes10DataModule
from ansnet.data.svhn import SVHNDataModule

FOLDER = "folder:"  # and the path of one's own pictures

DATA_MODULES: dict[str, type[ImageDataModule]] = {
    "cifar10": CIFAR10DataModule,
    "cifar100": CIFAR100DataModule,
    "svhn": SVHNDataModule,
    "fashionmnist": FashionMNISTDataModule,
    "shapes10": Shapes10DataModule,
}


def make_data_module(
    dataset: str, data_dir: str | Path = "data", mirror: str | None = None, **options: Any
) -> ImageDataModule:
    """Build the data module of a data set.

    Args:
        dataset: a name in `DATA_MODULES`, or ``folder:`` and a path.
        data_dir, mirror: of a data set that is downloaded, see `DownloadedDataModule`.
        **options: as `ImageDataModule`.

    Raises:
        DataError: no data set has the name; or the folder is not laid out as it has to be.
    """
    if dataset.startswith(FOLDER):
        return FolderDataModule(dataset.removeprefix(FOLDER), **options)
    if dataset not in DATA_MODULES:
        raise DataError(
            f"unknown data set {dataset!r}: known are {', '.join(DATA_MODULES)}, or give {FOLDER}PATH"
        )
    kind = DATA_MODULES[dataset]
    if issubclass(kind, DownloadedDataModule):
        return kind(data_dir, mirror, **options)
    return kind(**options)
