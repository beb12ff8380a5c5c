"""A folder of pictures, one folder a class: which file is of which class, to train or to validate.

The files are looked at by name only. Which of them are pictures indeed, `ansnet.data.folder` sees.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ansnet.data.datamodule import DataError
from ansnet.data.picture import what_else

TRAIN = "train"
VALIDATION = ("val", "valid", "validation", "test")  # the first that is there is taken
SHARE = 5  # one picture in so many validates, where the folder says nothing
SEED = "ansnet"  # of which those are
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LEFT_BEHIND = ("thumbs.db", "desktop.ini", "__macosx")  # by other programs


class Picture(NamedTuple):
    path: Path
    target: int


@dataclass(frozen=True)
class Layout:
    """What a folder holds.

    Attributes:
        folder: that is described.
        classes: the names of the folders, sorted.
        train, val: the pictures.
        validation: the name of the folder of ``val``; None if it was split off.
        others: files that no reader of Pillow is for.
    """

    folder: Path
    classes: tuple[str, ...]
    train: tuple[Picture, ...]
    val: tuple[Picture, ...]
    validation: str | None
    others: tuple[Path, ...]

    @property
    def mirrors(self) -> bool:
        """Whether a mirror image is of the same class, as far as the names tell.

        They tell that it is not if all are digits, numbers or single letters, or one of them says left
        or right.
        """
        names = [name.casefold() for name in self.classes]
        if all(name.isdigit() or len(name) == 1 or name in NUMBERS for name in names):
            return False
        return not any(re.search(r"(?<![a-z])(left|right)(?![a-z])", name) for name in names)


def read_layout(folder: Path) -> Layout:
    """Find the classes and their pictures.

    Either ``folder`` holds a folder ``train`` and one of `VALIDATION`, each with one folder a class; or
    one folder a class itself, or in ``train``. Then a fifth of each class, at least one picture,
    validates: those whose name comes first when ``sha256`` has shuffled the names. So the split is the
    same in every run and on every machine, and a picture that is added later changes little of it.

    Folders in the folder of a class belong to the class. What is hidden is left out.

    Raises:
        DataError: there is no such folder; it holds no folders, or those of one class only; or a class
            has too few pictures.
    """
    if not folder.is_dir():
        there_is = "this is a file" if folder.exists() else "there is no such folder"
        raise DataError(f"--dataset folder:{folder}: {there_is}; name one that holds a folder a class")
    subfolders = {path.name.casefold(): path for path in folders_in(folder)}
    validations = [name for name in VALIDATION if name in subfolders]
    if validations and subfolders.keys() <= {*VALIDATION}:
        raise DataError(
            f"{folder} holds {validations[0]}, but no {TRAIN} with the pictures to train by"
        )
    if TRAIN not in subfolders or subfolders.keys() - {TRAIN, *VALIDATION}:
        return split(folder, folder)
    if not validations:
        return split(folder, subfolders[TRAIN])
    validation = subfolders[validations[0]]
    classes, train, others = list_classes(subfolders[TRAIN])
    val_classes, val, val_others = list_classes(validation, at_least=1)
    for name in sorted({*classes} ^ {*val_classes}):
        there, missing = subfolders[TRAIN], validation
        if name not in classes:
            there, missing = missing, there
        raise DataError(f"{missing} has no folder {name!r}, but {there} has; each needs all classes")
    return Layout(folder, classes, train, val, validation.name, others + val_others)


def split(folder: Path, parent: Path) -> Layout:
    classes, pictures, others = list_classes(parent)
    by_class: dict[int, list[Picture]] = {}
    for picture in pictures:
        by_class.setdefault(picture.target, []).append(picture)
    val: list[Picture] = []
    for target, members in by_class.items():
        if len(members) < 2:
            raise DataError(
                f"{parent / classes[target]} has one picture only; a class needs two at least, one to "
                "train and one to validate"
            )
        members.sort(key=lambda picture: shuffled(picture.path.relative_to(parent)))
        val += members[: max(len(members) // SHARE, 1)]
    chosen = set(val)
    train = tuple(picture for picture in pictures if picture not in chosen)
    return Layout(folder, classes, train, tuple(sorted(val)), None, others)


def shuffled(name: Path) -> bytes:
    return sha256(f"{SEED}/{name.as_posix()}".encode()).digest()


def list_classes(
    parent: Path, at_least: int = 2
) -> tuple[tuple[str, ...], tuple[Picture, ...], tuple[Path, ...]]:
    """The names of the classes, the pictures, and the files that are none.

    Raises:
        DataError: there are too few classes, or a class has no pictures.
    """
    named = sorted(folders_in(parent))
    others = [path for path in visible(parent) if path.is_file()]
    if not named:
        found = "pictures, but no folders" if any(map(is_picture, others)) else "no folders"
        raise DataError(
            f"{parent} holds {found}; put the pictures of each class into a folder of its own"
        )
    if len(named) < at_least:
        inside = [path for path in folders_in(named[0]) if any(files_in(path))]
        remedy = f"did you mean folder:{named[0]}?" if len(inside) > 1 else "there must be two at least"
        raise DataError(f"{parent} holds the folder of one class only, {named[0].name!r}; {remedy}")
    pictures: list[Picture] = []
    for target, folder in enumerate(named):
        files = sorted(files_in(folder))
        members = [Picture(path, target) for path in files if is_picture(path)]
        if not members:
            there = ""
            if files:
                first = f"{files[0].name} ({what_else(files[0])})"
                there = f", but {counted(len(files), 'other file')}, as {first}"
            raise DataError(f"{folder} holds no pictures{there}; put some into it, or take it away")
        pictures += members
        others += [path for path in files if not is_picture(path)]
    return tuple(path.name for path in named), tuple(pictures), tuple(others)


def counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def folders_in(folder: Path) -> list[Path]:
    return [path for path in visible(folder) if path.is_dir()]


def visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not is_hidden(path.name))


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name.casefold() in LEFT_BEHIND


def files_in(folder: Path) -> Iterator[Path]:
    """All files, those of folders in it too, also behind links, but each folder once."""
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        place = os.path.realpath(parent)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield from (Path(parent, name) for name in names if not is_hidden(name))


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in picture_suffixes()


@cache
def picture_suffixes() -> frozenset[str]:
    """Of the formats that Pillow reads."""
    formats = Image.registered_extensions()
    return frozenset(suffix for suffix, name in formats.items() if name in Image.OPEN)
