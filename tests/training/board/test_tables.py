"""`ansnet.training.board.tables`."""

from __future__ import annotations

from torch import nn

from ansnet.models import create_model
from ansnet.training.board.tables import network_table, settings_table


def test_settings() -> None:
    assert settings_table({"lr": 0.1, "model": "a|b"}).splitlines() == [
        "| setting | value |",
        "|---|---|",
        "| lr | `0.1` |",
        "| model | `a\\|b` |",
    ]


def test_a_network_is_told_by_layers_and_in_all() -> None:
    notation, _, *lines = network_table(create_model("C(4), M(8), L(10)"), (3, 32, 32)).splitlines()
    assert notation == "`C(4), M(8), L(10)`"
    assert lines == [
        "| layer | kind | output | parameters | multiply-adds |",
        "|---|---|---|---|---|",
        "| conv1 | Conv2d | 4 × 32 × 32 | 112 | 110,592 |",
        "| pool1 | MaxPool2d | 4 × 4 × 4 | 0 | 0 |",
        "| flatten | Flatten | 64 | 0 | 0 |",
        "| linear1 | Linear | 10 | 650 | 640 |",
        "| **in all** |  |  | **762** | **111,232** |",
    ]


def test_a_network_without_notation() -> None:
    assert network_table(nn.Sequential(nn.Flatten()), (3, 4, 4)).startswith("| layer |")
