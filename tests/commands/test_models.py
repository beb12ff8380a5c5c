"""``python -m ansnet models``."""

from __future__ import annotations

import json

import pytest

from ansnet.commands.main import main
from ansnet.models import create_model, list_models, recorded
from ansnet.training.comparison import percent


def test_a_line_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line and line[0].isalpha()}
    assert rows.keys() == {"name", *list_models()}
    found = recorded.read_recorded("vgg7")[0]
    accuracy = percent(found.accuracy, found.deviation)
    (line,) = [line for line in lines if line.startswith("vgg7 ") and "CR" not in line]
    assert " ".join(line.split()) == f"vgg7 4,178,570 68,097,024 {accuracy} % 4 2 32-true"
    assert lines[-1].split(None, 1) == ["resnet9", create_model("resnet9").notation]


def test_a_pattern_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "vgg7*", "--json"]) == 0
    vgg7, vgg7bn = json.loads(capsys.readouterr().out)
    assert (vgg7["name"], vgg7bn["name"]) == ("vgg7", "vgg7bn")
    assert vgg7bn["parameters"] == 4_180_042
    (found,) = vgg7bn["recorded"]
    assert (found["runs"], found["epochs"], found["precision"]) == (2, 10, "32-true")


def test_a_model_of_which_no_run_is_recorded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recorded, "read_recorded", lambda model: [])
    assert main(["models", "vgg7"]) == 0
    assert "not recorded" in capsys.readouterr().out


def test_a_pattern_that_matches_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["models", "alex*"])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert "no model matches 'alex*'; known are vgg7, vgg7bn, resnet9" in error
    assert error.count("\n") == 1
