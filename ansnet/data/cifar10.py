"""CIFAR-10, through torchvision: 50,000 images to train, 10,000 to validate, the official split.

Source: Krizhevsky, *Learning multiple layers of features from tiny images* (2009).
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import torch

from ansnet.compatibility import torchvision
from ansnet.data.augmentation import Augmentation
from ansnet.data.batches import Images
from ansnet.data.datamodule import DataError, ImageDataModule
from ansnet.data.download import DownloadError, NotThereError, download, is_whole

CIFAR10 = torchvision.datasets.CIFAR10
files = torchvision.datasets.utils

GZIP = b"\x1f\x8b"  # what the archive begins with (RFC 1952)


class CIFAR10DataModule(ImageDataModule):
    """CIFAR-10, from where it lies or from the network.

    Args:
        data_dir: the folder that holds ``cifar-10-batches-py`` or ``cifar-10-python.tar.gz``, or
            ``cifar-10-batches-py`` itself. What is missing is downloaded to it, and a download that was
            broken off is gone on with.
        mirror: where to download ``cifar-10-python.tar.gz`` from, its URL or that of its folder
            (`addresses`); None is the official host.
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
        if self.mirror is not None and not is_web_address(self.mirror):
            raise DataError(
                f"--mirror {self.mirror}: expected an address that begins with http:// or https://; "
                "name a folder with --data-dir"
            )
        archive = self.data_dir / CIFAR10.filename
        if not is_whole(archive, CIFAR10.tgz_md5):
            self.download_archive(archive)
        with tarfile.open(archive) as content:
            # As the documentation of tarfile says, for Pythons before and after 3.11.4.
            content.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
            content.extractall(self.data_dir)

    def download_archive(self, archive: Path) -> None:
        failures = []
        for url in addresses(self.mirror or CIFAR10.url):
            try:
                download(url, archive, CIFAR10.tgz_md5, GZIP)
                return
            except DownloadError as error:
                failures.append(f"from {url} failed ({error})")
                if not isinstance(error, NotThereError):
                    break  # for elsewhere on a host that does not answer it need not be looked
        raise DataError(
            f"no CIFAR-10 in {self.data_dir}, and downloading it {' and '.join(failures)}; name "
            f"{'another' if self.mirror else 'a'} host with --mirror, or a folder that holds "
            f"{CIFAR10.base_folder} or {CIFAR10.filename} with --data-dir, or train without data: "
            "--dataset shapes10"
        )

    def subset(self, train: bool) -> Images:
        read = CIFAR10(self.data_dir, train=train)
        return Images(torch.from_numpy(read.data).contiguous(), torch.tensor(read.targets))


def is_web_address(mirror: str) -> bool:
    try:
        return urlsplit(mirror).scheme in ("http", "https")
    except ValueError:  # brackets, as of an IPv6 address, that do not close
        return False


def addresses(mirror: str) -> list[str]:
    """Where the archive may lie, the likelier place first.

    An address whose path names the archive, or that has a query, is the archive's own, and one whose
    path ends in a slash is its folder's. Any other may be either's.

    Example:
        >>> addresses("https://host/data/")
        ['https://host/data/cifar-10-python.tar.gz']
        >>> addresses("https://host/files/cifar-10-python.tar.gz/content")
        ['https://host/files/cifar-10-python.tar.gz/content']
        >>> addresses("https://host/link")
        ['https://host/link/cifar-10-python.tar.gz', 'https://host/link']
    """
    parts = urlsplit(mirror)
    if CIFAR10.filename in parts.path.split("/"):
        return [mirror]
    folder = parts.path.rstrip("/")
    in_folder = parts._replace(path=f"{folder}/{CIFAR10.filename}").geturl()
    if parts.query:
        return [mirror, in_folder] if parts.path.endswith("/") else [mirror]
    if parts.path in ("", "/") or parts.path.endswith("/"):
        return [in_folder]
    return [mirror, in_folder] if "." in folder.rpartition("/")[2] else [in_folder, mirror]


def files_and_checksums() -> list[tuple[str, str]]:
    """Each file of the data set and its published md5."""
    labels = (CIFAR10.meta["filename"], CIFAR10.meta["md5"])
    return [(name, md5) for name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list, labels]]


def remedy(folder: Path) -> str:
    return f"delete {folder}, so that it is fetched anew, or name another copy with --data-dir"
