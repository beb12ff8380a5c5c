"""CIFAR-10, through torchvision: 50,000 images to train, 10,000 to validate, the official split.

Source: Krizhevsky, *Learning multiple layers of features from tiny images* (2009).
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import torch

from ansnet.compatibility import torchvision
from ansnet.data.batches import Images
from ansnet.data.datamodule import DataError
from ansnet.data.download import is_whole
from ansnet.data.downloaded import GZIP, DownloadedDataModule, remedy
from ansnet.files import whole_folder

files = torchvision.datasets.utils


class CIFAR10DataModule(DownloadedDataModule):
    """CIFAR-10, from where it lies or from the network.

    Args:
        data_dir: the folder that holds ``cifar-10-batches-py`` or ``cifar-10-python.tar.gz``, or
            ``cifar-10-batches-py`` itself. What is missing is downloaded to it, and a download that was
            broken off is gone on with.
        mirror: where to download ``cifar-10-python.tar.gz`` from, its URL or that of its folder
            (`ansnet.data.downloaded.addresses`); None is the official host.
        **options: as `ansnet.data.datamodule.ImageDataModule`.

    Raises:
        DataError: (in ``prepare_data``) a file is damaged, or there is none and the download failed.
    """

    title = "CIFAR-10"
    is_recognised_by = "cifar-10-batches-py or cifar-10-python.tar.gz"
    source = torchvision.datasets.CIFAR10
    classes: tuple[str, ...] = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )

    def __init__(
        self, data_dir: str | Path = "data", mirror: str | None = None, **options: Any
    ) -> None:
        folder = Path(data_dir)
        is_itself = folder.name == self.source.base_folder
        super().__init__(folder.parent if is_itself else folder, mirror, **options)

    def prepare_files(self) -> None:
        folder = self.data_dir / self.source.base_folder
        if not folder.exists():
            self.unpack_archive()
        for name, md5 in self.files_and_checksums():
            if not (folder / name).exists():
                raise DataError(
                    f"{self.title} is incomplete: {folder / name} is missing; {remedy(folder)}"
                )
            if not files.check_integrity(folder / name, md5):
                raise DataError(
                    f"{self.title} is damaged: {folder / name} does not have the published md5 "
                    f"checksum {md5}; {remedy(folder)}"
                )

    def unpack_archive(self) -> None:
        """Extract the archive, which is downloaded unless it is there and whole."""
        archive = self.data_dir / self.source.filename
        if not is_whole(archive, self.source.tgz_md5):
            self.fetch(archive, [self.source.url], self.source.tgz_md5, GZIP)
        folder = self.data_dir / self.source.base_folder
        with whole_folder(folder) as unfinished, tarfile.open(archive) as content:
            # As the documentation of tarfile says, for Pythons before and after 3.11.4.
            content.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            content.extractall(unfinished)

    def files_and_checksums(self) -> list[tuple[str, str]]:
        """Each file of the data set and its published md5."""
        source = self.source
        labels = (source.meta["filename"], source.meta["md5"])
        return [(name, md5) for name, md5 in [*source.train_list, *source.test_list, labels]]

    def subset(self, train: bool) -> Images:
        read = self.source(self.data_dir, train=train)
        return Images(torch.from_numpy(read.data).contiguous(), torch.tensor(read.targets))
