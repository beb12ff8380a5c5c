"""The files of a package, an installed one or a folder, found without importing it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from pkgutil import iter_modules

LEFT_OUT = {"__pycache__", "node_modules", "tests", "test", "testing_data", "build", "dist"}


class NoPackageError(ValueError):
    """There is no such package; the message says what was looked for, and what to do."""


@dataclass(frozen=True)
class Package:
    """Where the modules are.

    Attributes:
        name: as it is shown.
        root: the folder that its modules are imported from.
        files: path and dotted name of each module.
    """

    name: str
    root: Path
    files: tuple[tuple[Path, str], ...]


def locate(what: str) -> Package:
    """A package by its name, or by the path of a folder or of a file.

    Raises:
        NoPackageError: there is none.
    """
    path = Path(what)
    if path.exists() and (os.sep in what or what.endswith(".py") or what in (".", "..")):
        return of_path(path.resolve())
    if not all(part.isidentifier() for part in what.split(".")):
        return of_distribution(what)
    folder_or_file = find(what)
    if folder_or_file is None:
        if what in sys.builtin_module_names:
            raise NoPackageError(f"{what} is no package of Python files, but a part of Python itself")
        if path.is_dir():  # not one that can be imported, as it has another character in its name
            return of_path(path.resolve())
        return of_distribution(what)
    return of_path(folder_or_file)


def find(name: str) -> Path | None:
    """The folder or file of a module, here or where Python looks; nothing is imported."""
    places: list[str] | None = [str(Path.cwd()), *(place for place in sys.path if place)]
    spec = None
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:length]), places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or []) or None
        if places is None and length < len(parts):
            return None
    if spec is None:
        return None
    if spec.origin and spec.origin.endswith(".py") and Path(spec.origin).name != "__init__.py":
        return Path(spec.origin).resolve()
    folders = list(spec.submodule_search_locations or [])
    if folders:
        return Path(folders[0]).resolve()
    raise NoPackageError(f"{name} is no package of Python files, but {spec.origin}")


def of_distribution(what: str) -> Package:
    """The package that a distribution of this name brings: of scikit-learn it is sklearn.

    Raises:
        NoPackageError: there is none.
    """
    names: set[str] = set()
    with suppress(PackageNotFoundError, ValueError):
        brought = [file.parts for file in distribution(what).files or []]
        names = {parts[0].removesuffix(".py") for parts in brought if parts[-1].endswith(".py")}
    names = {name for name in names if name.isidentifier() and not name.startswith("_")}
    if len(names) == 1 and (found := find(min(names))):
        return of_path(found)
    if names:
        raise NoPackageError(f"{what} brings {', '.join(sorted(names))}; name one of them")
    near = near_path(what) if os.sep in what or what.endswith(".py") else near_module(what)
    hint = f"did you mean {near}?" if near else ""
    raise NoPackageError(
        f"there is no package, folder or file {what!r}; "
        f"{hint or 'name one that is installed here, as it is imported, or a path'}"
    )


def near_module(name: str) -> str | None:
    """A module of nearly this name, here or where Python looks; nothing is imported."""
    places = [os.fspath(Path.cwd()), *(place for place in sys.path if place)]
    parts = name.split(".")
    for position, part in enumerate(parts):
        known = modules_in(places)
        if part not in known:  # what lies here comes first
            near = get_close_matches(part, modules_in(places[:1]) or known, n=1)
            near = near or get_close_matches(part, known, n=1)
            if not near:  # what could be mended of it
                parts = parts[:position]
                break
            parts[position] = near[0]
        places = [os.fspath(Path(place, parts[position])) for place in places]
    meant = ".".join(parts)
    return meant if meant not in ("", name) else None


def modules_in(places: Sequence[str]) -> list[str]:
    """The names of the modules in folders, of packages with and without ``__init__.py``."""
    found = {module.name for module in iter_modules(places)}
    for place in map(Path, places):
        with suppress(OSError):
            found |= {each.name for each in place.iterdir() if any(each.glob("*.py"))}
    return sorted(name for name in found if name.isidentifier())


def near_path(path: str) -> str | None:
    """A path that is there and nearly called so."""
    here = Path()
    parts = Path(path).parts
    for position, part in enumerate(parts):
        if not (here / part).exists():
            with suppress(OSError):
                near = get_close_matches(part, [each.name for each in here.iterdir()], n=1)
                meant = here.joinpath(*near, *parts[position + 1 :])
                return os.fspath(meant) if near and meant.exists() else None
        here /= part
    return None


def of_path(path: Path) -> Package:
    """A folder, package or not, or a file."""
    if path.is_file():
        root, name = package_of(path)
        return Package(name, root, ((path, name),))
    if (path / "__init__.py").is_file():
        root, name = package_of(path / "__init__.py")
    else:
        root, name = path, path.name
        if any(path.name == Path(place).name for place in ("src", "lib")):
            name = f"{path.parent.name}/{path.name}"
        elif path.parent in (Path(place).resolve() for place in sys.path if place):
            root = path.parent  # a package without __init__.py, where Python looks for packages
    files = tuple((file, package_of(file, root)[1]) for file in walk(path))
    if not files:
        raise NoPackageError(f"there is no file of Python in {path}")
    return Package(labelled(name), root, files)


def labelled(name: str) -> str:
    """The name with the version, if it is installed."""
    with suppress(PackageNotFoundError, ValueError):
        return f"{name} {version(name.partition('.')[0])}"
    return name


def walk(folder: Path) -> Iterator[Path]:
    """Files of Python, but for tests, hidden folders and environments."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if name not in LEFT_OUT
            and not name.startswith(".")
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            is_test = name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
            if name.endswith(".py") and not is_test and name != "setup.py":
                yield here / name


def package_of(path: Path, root: Path | None = None) -> tuple[Path, str]:
    """The folder that a file is imported from, and its module's dotted name."""
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while folder != root if root else (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)
