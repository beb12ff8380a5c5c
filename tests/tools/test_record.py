"""The record keeps what other environments have found, and the page tells what differs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from tests.tools.networks import PLAIN, TO_TORCH
from tests.tools.record import DIFFERS, RAISES, SAME, Row, examine, merge, read, write
from tests.tools.tool import Tool, tool

ROW = Row("torch", "hooks", "output", PLAIN, "2.13.0", "2.13.0", "3.11.7", "2×5", SAME, "", "")


def exact_class(network: nn.Module) -> Any:
    return sum(type(layer) is nn.Linear for layer in network.modules())


def test_a_difference_and_its_way_round() -> None:
    known = tool(
        "counter", "linear layers", "torch", networks=(PLAIN,), reason="exact class", **TO_TORCH
    )
    row = examine(known(exact_class), PLAIN)
    assert (row.twin, row.ansnet, row.detail, row.by_way_round) == (
        "2",
        DIFFERS,
        "answer: 0 for 2",
        SAME,
    )


def test_an_error_is_an_answer() -> None:
    def ask(network: nn.Module) -> Any:
        if not exact_class(network):
            raise KeyError("no such layer")
        return network

    row = examine(Tool("counter", "layers", ask, "torch", networks=(PLAIN,)), PLAIN)
    assert (row.ansnet, row.detail) == (RAISES, "KeyError: 'no such layer'")


def test_a_way_round_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        tool("counter", "layers", "torch", **TO_TORCH)(exact_class)


def test_new_rows_take_the_place_of_old_ones(tmp_path: Path) -> None:
    tools = [Tool("hooks", "output", exact_class, "torch", networks=(PLAIN, "VGG7"))]
    other, dropped = replace(ROW, network="VGG7"), replace(ROW, tool="forgotten")
    write([dropped, other, ROW], tmp_path / "tools.csv")
    new = replace(ROW, torch="2.14.1", detail='a "quoted", text')
    merged = merge(read(tmp_path / "tools.csv"), [new], tools)
    assert merged == [new, other]
    write(merged, tmp_path / "tools.csv")
    assert read(tmp_path / "tools.csv") == merged
    assert read(tmp_path / "none.csv") == []
