"""The files of a package, and what may have been meant where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansnet.scanning.files import near_module, near_path


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a package without ``__init__.py``, which is the current one."""
    (tmp_path / "package_to_find").mkdir()
    (tmp_path / "package_to_find" / "formulas.py").touch()
    (tmp_path / "formulas_alone.py").touch()
    (tmp_path / "no_package").mkdir()
    (tmp_path / "no_package" / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("pakage_to_find", "package_to_find"),
        ("pakage_to_find.fromulas", "package_to_find.formulas"),
        ("package_to_find.formula", "package_to_find.formulas"),
        ("package_to_find.xyzzy", "package_to_find"),
        ("formulas_alon", "formulas_alone"),
        ("tocrh.nn.functionl", "torch.nn.functional"),
        ("no_pakage", None),
        ("package_to_find.formulas", None),
        ("xyzzy_plugh.formulas", None),
    ],
)
def test_a_module_of_nearly_this_name(name: str, meant: str | None) -> None:
    assert near_module(name) == meant


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("pakage_to_find/formulas.py", "package_to_find/formulas.py"),
        ("package_to_find/formula.py", "package_to_find/formulas.py"),
        ("formulas_alon.py", "formulas_alone.py"),
        ("pakage_to_find/xyzzy.py", None),
        ("xyzzy.py", None),
        ("formulas_alone.py", None),
    ],
)
def test_a_path_of_nearly_this_name(path: str, meant: str | None) -> None:
    assert near_path(path) == meant
