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
from ansnet.data.picture import SIZE, PictureError, as_bytes, open_picture

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
        origin = f"those of {layout.validation}"
        if layout.validation is None:
            origin = "a fifth of each class, the same in every run"
        self.notes = [
            f"{len(layout.train):,} pictures to train, {len(layout.val):,} to validate, {origin}; "
            f"{len(layout.classes)} classes"
        ]
        if layout.others:
            self.note_left_out([(path, "no picture") for path in layout.others])

    def subset(self, train: bool) -> Images:
        pictures = self.layout.train if train else self.layout.val
        squares = read_squares([picture.path for picture in pictures], "train" if train else "val")
        read = [pair for pair in zip(pictures, squares, strict=True) if not isinstance(pair[1], str)]
        failed = [
            (picture.path, square)
            for picture, square in zip(pictures, squares, strict=True)
            if isinstance(square, str)
        ]
        if failed:
            self.check_rest([picture for picture, _ in read], failed, "train" if train else "validate")
            self.note_left_out(failed)
        targets = torch.tensor([picture.target for picture, _ in read])
        return Images(torch.from_numpy(np.stack([square for _, square in read])), targets)

    def check_rest(
        self, rest: Sequence[Picture], failed: Sequence[tuple[Path, str]], purpose: str
    ) -> None:
        """Refuse to go on without a class.

        Raises:
            DataError: naming a file of it.
        """
        empty = sorted({*range(len(self.classes))} - {picture.target for picture in rest})
        if empty:
            name = self.classes[empty[0]]
            raise DataError(
                f"no picture of the class {name!r} is left to {purpose}, for some cannot be read: "
                f"{self.named(failed)}; add some, or take its folder away"
            )

    def note_left_out(self, files: Sequence[tuple[Path, str]]) -> None:
        self.notes.append(f"left out {counted(len(files), 'file')}: {self.named(files)}")

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
