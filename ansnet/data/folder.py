"""One's own pictures, of any size and format, one folder a class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from ansnet.data.batches import Images
from ansnet.data.datamodule import DataError, ImageDataModule
from ansnet.data.layout import Picture, counted, read_layout
from ansnet.data.picture import SIZE, PictureError, as_bytes, open_picture, what_else

NAMED = 3  # files that were left out, in a message


class FolderDataModule(ImageDataModule):
    """The pictures of a folder, each made a square of 32 × 32 (`ansnet.data.picture.as_bytes`).

    They are read once, by as many threads as there are processors, and stay in memory. Files that are
    no pictures, or damaged, are left out, and ``notes`` names them.

    Args:
        folder: what it has to hold says `ansnet.data.layout.read_layout`.
        **options: as `ImageDataModule`.

    Raises:
        DataError: the folder is laid out otherwise; or (when the pictures are read) none of a class can
            be read.
    """

    is_measured = True

    def __init__(self, folder: str | Path, **options: Any) -> None:
        super().__init__(**options)
        self.layout = layout = read_layout(Path(folder).expanduser())
        self.classes = layout.classes
        self.mirrors = layout.mirrors
        self.left_out = [(path, what_else(path)) for path in layout.others]

    @property
    def notes(self) -> list[str]:
        split = {"train": self.layout.train, "val": self.layout.val}
        train, val = (
            len(self.subsets[name].targets if name in self.subsets else files)
            for name, files in split.items()
        )
        origin = f"those in {self.layout.validation}"
        if self.layout.validation is None:
            origin = "about a fifth of each class, the same in every run"
        lines = [
            f"{counted(train, 'picture')} to train, {val:,} to validate, {origin}; "
            f"{len(self.classes)} classes"
        ]
        if self.left_out:
            files = counted(len(self.left_out), "file")
            lines.append(f"left out {files}: {self.named(self.left_out)}")
        return lines

    def subset(self, train: bool) -> Images:
        pictures = self.layout.train if train else self.layout.val
        squares = read_squares([picture.path for picture in pictures], "train" if train else "val")
        read: list[NDArray[np.uint8]] = []
        targets: list[int] = []
        failed: list[tuple[Picture, str]] = []
        for picture, square in zip(pictures, squares, strict=True):
            if isinstance(square, str):
                failed.append((picture, square))
            else:
                read.append(square)
                targets.append(picture.target)
        for target in sorted({*range(len(self.classes))} - {*targets}):
            files = [(picture.path, why) for picture, why in failed if picture.target == target]
            raise DataError(
                f"no picture of the class {self.classes[target]!r} is left to "
                f"{'train' if train else 'validate'}: {self.named(files)}; replace what is damaged, or "
                "delete it"
            )
        self.left_out += [(picture.path, why) for picture, why in failed]
        return Images(torch.from_numpy(np.stack(read)), torch.tensor(targets))

    def named(self, files: Sequence[tuple[Path, str]]) -> str:
        """The first few files, and how many more there are."""
        shown = [f"{path.relative_to(self.layout.folder)} ({why})" for path, why in files[:NAMED]]
        more = [f"and {len(files) - NAMED} more"] if len(files) > NAMED else []
        return ", ".join(shown + more)


def read_squares(paths: Sequence[Path], subset: str) -> list[NDArray[np.uint8] | str]:
    """The pictures in a square, or why they cannot be read. On a terminal, show the progress.

    Args:
        paths: of N pictures.
        subset: what they are called in the progress.

    Returns:
        N times 32 × 32 × 3 bytes, or words.
    """

    def read(path: Path) -> NDArray[np.uint8] | str:
        try:
            return as_bytes(open_picture(path, SIZE))
        except PictureError as error:
            return error.reason

    # Pillow reads and resizes without Python's lock
    with ThreadPoolExecutor(os.cpu_count()) as threads, warnings.catch_warnings():
        # of more than 89 million pixels; those of twice as many are refused
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        shown = {"desc": f"reading {subset}", "total": len(paths), "unit": " pictures"}
        return list(tqdm(threads.map(read, paths), **shown, disable=None, leave=False))
