"""What a command line names: ``package.module:name`` or ``path/to/file.py:name``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from ansnet.commands.mistake import Mistake, shortened
from ansnet.scanning.files import near_module, near_path, package_of

HOW = "package.module:name or path/to/file.py:name"


def load(place: str) -> Any:
    """The object that ``package.module:name`` or ``path/to/file.py:name`` names.

    Raises:
        Mistake: it is not written so, there is no such module or name, or it cannot be imported.
    """
    module_place, colon, name = place.rpartition(":")
    if not colon or not module_place or not name:
        hint = ""
        module, dot, last = place.rpartition(".")
        if not colon and dot and last != "py" and os.sep not in place:
            hint = f"; did you mean {module}:{last}?"
        raise Mistake(f"got {shortened(place)!r}, expected {HOW}{hint}")
    return find(load_module(module_place), name, place)


def find(module: ModuleType, name: str, place: str) -> Any:
    """What goes by a name, perhaps with dots, in a module.

    Raises:
        Mistake: there is nothing by that name.
    """
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            owner = f"module {module.__name__!r}" if found is module else repr(found)
            nearest = get_close_matches(part, public(found), n=1)
            hint = f"; did you mean {nearest[0]}?" if nearest else ""
            raise Mistake(f"{owner} has no {name!r} (from {shortened(place)!r}){hint}")
        found = getattr(found, part)
    return found


def public(found: Any) -> Iterable[str]:
    """Names that one may have meant."""
    return [name for name in dir(found) if not name.startswith("_")]


def in_src(place: str) -> str:
    """What to do where a package lies in ``src/``, from which nothing is imported unless installed."""
    path = Path("src", *place.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not Path("src", place.split(".")[0]).exists():
        return ""
    named = f", or name the file: {file}" if file.is_file() else ""
    return f"; it is in src/: install it by pip install -e .{named}"


def meant(place: str, missing: str | None) -> str:
    """Which module may have been meant, where it is the named one, or its package, that is missing."""
    if missing is None or not f"{place}.".startswith(f"{missing}."):
        return ""
    near = near_module(place)
    return f"; did you mean {shortened(near)}?" if near else ""


def load_module(place: str) -> ModuleType:
    """The module of a dotted name or of a file; what is in the current folder can be imported.

    Raises:
        Mistake: there is none, or it cannot be imported.
    """
    here = str(Path.cwd())
    if not {"", here}.intersection(sys.path):
        sys.path.insert(0, here)
    try:
        if place.endswith(".py"):
            return load_file(Path(place))
        importlib.invalidate_caches()
        return importlib.import_module(place)
    except Mistake:
        raise
    except ModuleNotFoundError as error:
        hint = "; a file is named by its path, as ops.py" if Path(f"{place}.py").is_file() else ""
        hint = hint if "/" in place else in_src(place) or meant(place, error.name)
        raise Mistake(f"there is no module {error.name!r} (from {shortened(place)!r}){hint}") from None
    except SystemExit as error:
        raise Mistake(
            f"{place!r} ends the program as it is imported (exit code {error.code}): put what is to be "
            "done in a script behind if __name__ == '__main__':"
        ) from None
    except Exception as error:  # whatever its own code raises
        raise Mistake(
            f"{place!r} cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}"
            f"{where(error)}"
        ) from error


def load_file(path: Path) -> ModuleType:
    """The module of a file: by its dotted name if it lies in a package.

    Raises:
        Mistake: there is no such file.
    """
    if not path.is_file():
        near = near_path(str(path))
        hint = f"; did you mean {shortened(near)}?" if near else ""
        raise Mistake(f"there is no file {shortened(str(path))!r}{hint}")
    path = path.resolve()
    root, name = package_of(path)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    known = sys.modules.get(name)
    if known is not None and is_of(known, path):
        return known
    if "." in name:
        return importlib.import_module(name)
    # the name may be that of a module which is there already, as random
    name = name if name.isidentifier() and not importlib.util.find_spec(name) else f"file_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Mistake(f"{shortened(str(path))!r} is no module of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def is_of(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve() == path


def where(error: BaseException) -> str:
    """The line that raised an error, if it is not Python's own."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) or not frames:
        return ""
    return f" ({frames[-1].filename}:{frames[-1].lineno})"
