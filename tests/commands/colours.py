"""A network that knows three colours, and asking it through ``python -m ansnet predict``."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from ansnet.commands.main import main
from ansnet.data.augmentation import MEAN, STD
from ansnet.models import Network
from ansnet.models.weights import TrainedNetwork

CLASSES = ("red", "green", "blue")
COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}


def knows_colours(notation: str = "M(8), L(3)") -> TrainedNetwork:
    """A network that tells by the brightest of red, green and blue; the weights are set by hand."""
    network = Network(notation).eval()
    with torch.no_grad():
        linear = list(network.children())[-1]
        weight = torch.zeros(3, 3, linear.in_features // 3)
        weight[range(3), range(3)] = 0.25
        linear.weight.copy_(weight.flatten(1))
        linear.bias.zero_()
    return TrainedNetwork(network, CLASSES, {"mean": MEAN, "std": STD}, "colours")


def predicted(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    """What ``--json`` prints."""
    assert main(["predict", "--json", *words]) == code
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The line that is said before the exit code 2."""
    with pytest.raises(SystemExit) as exit_:
        main(["predict", *words])
    captured = capsys.readouterr()
    assert exit_.value.code == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err
