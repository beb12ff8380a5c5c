"""`ansnet.commands.main`: from ``python -m ansnet`` to the command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansnet.commands.main import COMMANDS, main


def test_help_names_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)


def test_without_a_command_the_usage_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: python -m ansnet COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "advice"),
    [("evalute", "did you mean evaluate?"), ("xyzzy", "known are train, ")],
)
def test_an_unknown_command_is_one_line(
    name: str, advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name]) == 2
    error = capsys.readouterr().err
    assert f"unknown command {name!r}; {advice}" in error
    assert error.count("\n") == 1


def test_whoever_has_read_enough_is_no_reason_for_a_stack_trace() -> None:
    command = [sys.executable, "-m", "ansnet", "models", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # before anything is printed
        assert process.wait() == 1
        assert b"Traceback" not in process.stderr.read()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([name, "--help"])
    assert exit_.value.code == 0
    assert "usage: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["evaluate", "--help"],
        ["evaluate", "nowhere"],
        ["summary", "-h"],
        ["predict", "--help"],
        ["predict", "a.png", "--run=nowhere"],
    ],
)
def test_nothing_heavy_is_loaded_for_what_needs_none(words: list[str]) -> None:
    code = (
        "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); "
        f"from ansnet.commands.main import main; sys.exit(main({words!r}))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout.endswith("False\n")
