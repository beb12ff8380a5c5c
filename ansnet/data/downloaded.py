"""Data sets that lie on a web server: where their files are fetched from, and what is said if not."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansnet.data.datamodule import DataError, ImageDataModule
from ansnet.data.download import DownloadError, NotThereError, download
from ansnet.files import try_folder, why

GZIP = b"\x1f\x8b"  # what its files begin with (RFC 1952)


class DownloadedDataModule(ImageDataModule):
    """A data set from where it lies or from the network.

    Args:
        data_dir: the folder that holds its files. What is missing is downloaded to it, and a download
            that was broken off is gone on with.
        mirror: where to download the files from: the URL of the folder that holds them, or, if there is
            one only, its own (`addresses`); None is the official host.
        **options: as `ImageDataModule`.

    Attributes:
        title: its name, for messages.
        is_recognised_by: which files or folders ``data_dir`` holds if it holds the data set.

    Raises:
        DataError: (in ``prepare_data``) a file is damaged, or there is none and the download failed.
    """

    title: str
    is_recognised_by: str

    def __init__(
        self, data_dir: str | Path = "data", mirror: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.data_dir = Path(data_dir)
        self.mirror = mirror

    def prepare_data(self) -> None:
        """See to it that all files are there, and whole."""
        try:
            self.prepare_files()
        except OSError as error:
            if error.errno is None:  # as of a damaged gzip file
                raise
            raise DataError(
                f"--data-dir {self.data_dir}: {self.title} cannot be read from it, or written to it: "
                f"{why(error)}"
            ) from error

    @abstractmethod
    def prepare_files(self) -> None:
        """The same, where nothing keeps them from being read and written.

        Raises:
            DataError: as `prepare_data`.
            OSError: one cannot be read or written.
        """

    def fetch(self, path: Path, official: Sequence[str], md5: str, beginning: bytes) -> None:
        """Download a file.

        Args:
            path: where it is to lie; its name is that on the server.
            official: its addresses, the first to be tried first.
            md5, beginning: see `ansnet.data.download.download`.

        Raises:
            DataError: it cannot be had, or the mirror is no address.
            OSError: it cannot be written.
        """
        if self.mirror is not None and not is_web_address(self.mirror):
            raise DataError(
                f"--mirror {self.mirror}: expected an address that begins with http:// or https://; "
                "name a folder with --data-dir"
            )
        try_folder(path.parent, path.name)
        failures = []
        for url in official if self.mirror is None else addresses(self.mirror, path.name):
            try:
                download(url, path, md5, beginning)
                return
            except DownloadError as error:
                failures.append(f"from {url} failed ({error})")
                if not isinstance(error, NotThereError):
                    break  # for elsewhere on a host that does not answer it need not be looked
        raise DataError(
            f"no {self.title} in {self.data_dir}, and downloading it {' and '.join(failures)}; name "
            f"{'another' if self.mirror else 'a'} host with --mirror, or a folder that holds "
            f"{self.is_recognised_by} with --data-dir, or train without data: --dataset shapes10"
        )


def remedy(path: Path) -> str:
    """What to do about a damaged file or folder."""
    return f"delete {path}, so that it is fetched anew, or name another copy with --data-dir"


def is_web_address(mirror: str) -> bool:
    try:
        return urlsplit(mirror).scheme in ("http", "https")
    except ValueError:  # brackets, as of an IPv6 address, that do not close
        return False


def addresses(mirror: str, name: str) -> list[str]:
    """Where a file of that name may lie, the likelier place first.

    An address whose path has the name in it, or that has a query, is the file's own, and one whose path
    ends in a slash is its folder's. Any other may be either's.

    Example:
        >>> addresses("https://host/data/", "archive.tar.gz")
        ['https://host/data/archive.tar.gz']
        >>> addresses("https://host/files/archive.tar.gz/content", "archive.tar.gz")
        ['https://host/files/archive.tar.gz/content']
        >>> addresses("https://host/link", "archive.tar.gz")
        ['https://host/link/archive.tar.gz', 'https://host/link']
    """
    parts = urlsplit(mirror)
    if name in parts.path.split("/"):
        return [mirror]
    folder = parts.path.rstrip("/")
    in_folder = parts._replace(path=f"{folder}/{name}").geturl()
    if parts.query:
        return [mirror, in_folder] if parts.path.endswith("/") else [mirror]
    if parts.path in ("", "/") or parts.path.endswith("/"):
        return [in_folder]
    return [mirror, in_folder] if "." in folder.rpartition("/")[2] else [in_folder, mirror]
