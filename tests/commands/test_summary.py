"""``python -m ansnet summary``."""

from __future__ import annotations

import json

import pytest

from ansnet.commands.main import main


def test_a_line_a_layer_and_their_sum(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "vgg7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("CR(64), M(2), CR(128)")
    assert lines[3].split() == [
        "conv1",
        "Conv2d",
        "64",
        "×",
        "32",
        "×",
        "32",
        "1,792",
        "262.14",
        "kB",
        "1,769,472",
    ]
    assert lines[-1].split()[:3] == ["in", "all", "4,178,570"]


def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "CR(4), M(8), L(3)", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [layer["kind"] for layer in found["layers"]] == [
        "Conv2d",
        "ReLU",
        "MaxPool2d",
        "Flatten",
        "Linear",
    ]
    assert found["layers"][0]["memory"] == 4 * 4 * 32 * 32


@pytest.mark.parametrize(
    ("model", "message"),
    [("vgg8", "unknown model 'vgg8': did you mean vgg7"), ("C(4), X(2)", "unknown layer 'X'")],
)
def test_wrong_input_is_one_line(model: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["summary", model])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
