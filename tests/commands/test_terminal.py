"""`ansnet.commands.terminal`: what is printed reaches a terminal that has not all characters."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import yaml

from ansnet.commands import main as commands
from ansnet.commands.terminal import PLAIN, can_show, survive_any_terminal
from ansnet.models.recorded import read_recorded
from tests.training.small import few_shapes

pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning")

RUN = ["--dataset=shapes10", "--model=CR(4), M(8), L(10)", "--max-epochs=1", "--batch-size=50"]
CPU = ["--accelerator=cpu", "--devices=1", "--compile=none"]


class Terminal:
    """What a terminal of an encoding is sent, and what it shows."""

    def __init__(self, encoding: str) -> None:
        self.sent = io.BytesIO()
        self.stream = io.TextIOWrapper(self.sent, encoding, errors="strict", write_through=True)

    @property
    def shown(self) -> str:
        return self.sent.getvalue().decode(self.stream.encoding)

    def run(self, *words: str) -> int | str | None:
        """A command line given in it, and the exit code."""
        with redirect_stdout(self.stream), redirect_stderr(self.stream):
            try:
                return commands.main(words)
            except SystemExit as end:
                return end.code


@pytest.fixture(params=["ascii", "latin-1"])
def terminal(request: pytest.FixtureRequest) -> Terminal:
    return Terminal(request.param)


@pytest.mark.parametrize("command", [[], *([name] for name in commands.COMMANDS)], ids=str)
def test_every_help_is_shown(command: list[str], terminal: Terminal) -> None:
    assert terminal.run(*command, "--help") == 0
    assert "usage:" in terminal.shown
    if not command and terminal.stream.encoding == "ascii":
        assert "figures with +/-" in terminal.shown


def test_a_table_says_the_same_in_plain_characters(terminal: Terminal) -> None:
    assert terminal.run("models") == 0
    (recorded, *_) = read_recorded("vgg7")
    sign = "+/-" if terminal.stream.encoding == "ascii" else "±"
    assert f"{100 * recorded.accuracy:.2f} {sign} " in terminal.shown


def test_a_wrong_word_is_told_whatever_it_is_of(terminal: Terminal) -> None:
    assert terminal.run("evaluate", "žádný→\udcff") == 2
    assert "there is no run" in terminal.sent.getvalue().decode("latin-1")


def test_repeated_runs_are_told_to_the_end(terminal: Terminal, tmp_path: Path) -> None:
    with few_shapes(200, 50):
        assert terminal.run("train", *RUN, *CPU, f"--log-dir={tmp_path / 'běhy'}", "--repeat=2") == 0
        assert terminal.run("evaluate", str(tmp_path / "běhy/notation/version_0")) == 0
        runs = [str(tmp_path / f"běhy/notation/version_{number}") for number in (0, 1)]
        assert terminal.run("compare", *runs, f"--out={tmp_path / 'a.png'}") == 0
        file = f"--out={tmp_path / 'č.safetensors'}"
        assert terminal.run("export", runs[0], "--format=safetensors", file) == 0
    assert "after the last epoch of each run; recorded in " in terminal.shown
    assert "b?hy" in terminal.shown
    if terminal.stream.encoding == "ascii":
        assert " -> " in terminal.shown


def test_settings_are_printed_so_that_they_can_be_read_again(terminal: Terminal) -> None:
    assert terminal.run("train", *RUN, "--print-config", "--log-dir=běhy") == 0
    assert yaml.safe_load(terminal.shown)["log_dir"] == "běhy"


def test_what_stands_for_a_character_is_plain() -> None:
    assert all(plain.isascii() and not sign.isascii() for sign, plain in PLAIN.items())


def test_a_stream_that_is_none_of_a_terminal_is_left_alone() -> None:
    with redirect_stdout(io.StringIO()) as stream:
        survive_any_terminal()
        print("±")
    assert stream.getvalue() == "±\n"


def test_whether_a_text_can_be_shown() -> None:
    with redirect_stdout(Terminal("latin-1").stream):
        assert can_show("±")
        assert not can_show("→")
