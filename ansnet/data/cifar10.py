"""CIFAR-10, through torchvision: 50,000 images to train, 10,000 to validate, the official split.

Source: Krizhevsky, *Learning multiple layers of features from tiny images* (2009).
"""

from __future__ import annotations

import socket
import tarfile
from pathlib import Path

import torch

from ansnet.compatibility import torchvision
from ansnet.data.augmentation import Augmentation
from ansnet.data.batches import Images
from ansnet.data.datamodule import DataError, ImageDataModule

CIFAR10 = torchvision.datasets.CIFAR10
files = torchvision.datasets.utils

DOWNLOAD_TIMEOUT = 30  # seconds without an answer from the host


class CIFAR10DataModule(ImageDataModule):
    """CIFAR-10, from where it lies or from the network.

    Args:
        data_dir: the folder that holds ``cifar-10-batches-py`` or ``cifar-10-python.tar.gz``, or
            ``cifar-10-batches-py`` itself. What is missing is downloaded to it.
        mirror: where to download ``cifar-10-python.tar.gz`` from, a URL ending in that name or in
            its folder; None is the official host.
        batch_size, augmentation, channels_last, seed: as `ImageDataModule`.

    Raises:
        DataError: (in ``prepare_data``) a file is damaged, or there is none and the download failed.
    """

    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(
        self,
        data_dir: str | Path = "data",
        mirror: str | None = None,
        batch_size: int = 128,
        augmentation: Augmentation | None = None,
        channels_last: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(batch_size, augmentation, channels_last, seed)
        folder = Path(data_dir)
        self.data_dir = folder.parent if folder.name == CIFAR10.base_folder else folder
        self.mirror = mirror

    def prepare_data(self) -> None:
        folder = self.data_dir / CIFAR10.base_folder
        if not folder.exists():
            self.unpack_archive()
        for name, md5 in files_and_checksums():
            if not (folder / name).exists():
                raise DataError(f"CIFAR-10 is incomplete: {folder / name} is missing; {remedy(folder)}")
            if not files.check_integrity(folder / name, md5):
                raise DataError(
                    f"CIFAR-10 is damaged: {folder / name} does not have the published md5 checksum "
                    f"{md5}; {remedy(folder)}"
                )

    def unpack_archive(self) -> None:
        """Extract the archive, which is downloaded unless it is there and whole."""
        if self.mirror is not None and not self.mirror.startswith(("http://", "https://")):
            raise DataError(
                f"--mirror {self.mirror}: expected an address that begins with http:// or https://; "
                "name a folder with --data-dir"
            )
        archive = self.data_dir / CIFAR10.filename
        url = self.mirror or CIFAR10.url
        if not url.endswith(CIFAR10.filename):
            url = f"{url.rstrip('/')}/{CIFAR10.filename}"
        timeout = socket.getdefaulttimeout()
        socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
        try:
            files.download_url(url, self.data_dir, CIFAR10.filename, CIFAR10.tgz_md5)
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(
                f"no CIFAR-10 in {self.data_dir}, and downloading it from {url} failed ({error}); "
                f"name a folder that holds {CIFAR10.base_folder} or {CIFAR10.filename} with "
                "--data-dir, or a mirror with --mirror, or train without data: --dataset shapes10"
            ) from error
        finally:
            socket.setdefaulttimeout(timeout)
        with tarfile.open(archive) as content:
            # As the documentation of tarfile says, for Pythons before and after 3.11.4.
            content.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            content.extractall(self.data_dir)

    def subset(self, train: bool) -> Images:
        read = CIFAR10(self.data_dir, train=train)
        return Images(torch.from_numpy(read.data).contiguous(), torch.tensor(read.targets))


def files_and_checksums() -> list[tuple[str, str]]:
    """Each file of the data set and its published md5."""
    labels = (CIFAR10.meta["filename"], CIFAR10.meta["md5"])
    return [(name, md5) for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list, labels]]


def remedy(folder: Path) -> str:
    return f"delete {folder}, so that it is fetched anew, or name another copy with --data-dir"
