"""``docs/commands.md``: a section a command, and examples that print what stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ansnet.commands.main import COMMANDS, main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"```console\n\$ python -m ansnet (.+)\n((?s:.+?))\n```", PAGE))
# those that need no trained run, and say nothing of time
SAME_EACH_TIME = [words for words in EXAMPLES if words.split()[0] in ("models", "summary", "compare")]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_section(name: str) -> None:
    assert f"\n## {name}\n" in PAGE


@pytest.mark.parametrize("words", SAME_EACH_TIME)
def test_an_example_prints_what_the_page_says(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lightning_logs").symlink_to(ROOT / "lightning_logs")
    (tmp_path / "docs/pictures").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(words)) == 0
    assert capsys.readouterr().out.rstrip("\n") == EXAMPLES[words]


def test_the_example_of_wrong_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["evaluate", "nowhere"])
    assert capsys.readouterr().err.rstrip("\n") == EXAMPLES["evaluate nowhere"]


def test_each_kind_of_example_is_there() -> None:
    assert {words.split()[0] for words in SAME_EACH_TIME} == {"models", "summary", "compare"}
