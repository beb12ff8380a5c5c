"""``docs/check.md``: its commands print what stands there, its lines of Python run."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from ansnet.commands.main import main
from ansnet.testing import CAPABILITIES

PAGE = (Path(__file__).parents[2] / "docs/check.md").read_text(encoding="utf-8")
LINES = re.findall(r"```python\n((?s:.+?))```", PAGE)
EXAMPLES = re.findall(r"```console\n\$ python -m ansnet (.+)\n((?s:.+?))```", PAGE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the page's package."""
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "mypackage/__init__.py").touch()
    (tmp_path / "mypackage/ops.py").write_text(LINES[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("mypackage", "mypackage.ops"):  # another test's
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def plain(text: str) -> str:
    """Without what differs from torch to torch: digits of numbers, and how long it took."""
    return " ".join(re.sub(r"\d+\.\d{3,}|\(\d, \d\)|\d+ s\n", "…", text).split())


def test_what_its_commands_print(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert [words.split()[0] for words, _ in EXAMPLES] == ["check", "scan"]
    for words, printed in EXAMPLES:
        assert main(shlex.split(words)) == 1
        assert plain(capfd.readouterr().out) == plain(printed)


def test_its_lines_of_python_run(here: Path) -> None:
    _, decorated, checked, excused, samples = LINES
    there: dict[str, object] = {}
    exec(decorated, there)
    exec(excused, there)
    (here / "samples.py").write_text(samples)
    assert main(["check", "mypackage.ops:Swish", "--samples", "samples.py", "--only", "gradcheck"]) == 1
    exec(checked.replace('aot_eager"', "eager\", only=['deterministic']"), there)


def test_the_number_of_capabilities() -> None:
    (about,) = re.findall(r"some (\d+) capabilities", PAGE)
    assert abs(len(CAPABILITIES) - int(about)) <= 5
