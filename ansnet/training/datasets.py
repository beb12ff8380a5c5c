"""The names of the data sets, and what of a recipe each needs otherwise. Loads nothing heavy."""

from __future__ import annotations

from argparse import ArgumentTypeError
from difflib import get_close_matches
from pathlib import Path

DATASETS = ("cifar10", "cifar100", "svhn", "fashionmnist", "shapes10")
FOLDER = "folder:"  # and the path of one's own pictures


class UnknownDatasetError(ArgumentTypeError, ValueError):
    """A name that no data set has.

    Of the two that it is, the parser passes on the message of the first if the name is given on the
    command line, and of the second if in a YAML file.
    """


def dataset_name(given: str) -> str:
    """The name of a data set, as the command line gives it.

    Raises:
        UnknownDatasetError: there is none of that name, or a folder is not named.
    """
    if given in DATASETS or (given.startswith(FOLDER) and given != FOLDER):
        return given
    if given in (FOLDER, FOLDER.removesuffix(":")):
        raise UnknownDatasetError(f"{given} names no folder; write {FOLDER}PATH, as {FOLDER}pictures")
    plain = "".join(letter for letter in given.casefold() if letter.isalnum())
    nearest = [f"{FOLDER}{given}"] if Path(given).is_dir() else get_close_matches(plain, DATASETS, n=1)
    suggestion = f"did you mean {nearest[0]}? " if nearest else ""
    raise UnknownDatasetError(
        f"unknown data set {given!r}: {suggestion}known are {', '.join(DATASETS)}, or give your own "
        f"pictures, {FOLDER}PATH"
    )
