"""Every tool gives the same answer about our network as about its twin, or it is known why not."""

from __future__ import annotations

import warnings

import pytest

from ansnet.modules.layer import ExactClassWarning
from tests.tools.catalogue import all_tools
from tests.tools.networks import build
from tests.tools.page import PAGE, page
from tests.tools.record import SAME, examine, read
from tests.tools.tool import Tool


def questions(warn: bool = False) -> list[object]:
    return [
        pytest.param(
            tool,
            name,
            id=f"{tool.name}-{tool.asked}-{name}".replace(" ", "_"),
            marks=() if tool.central else pytest.mark.tools,
        )
        for tool in all_tools()
        for name in tool.networks
        if tool.warns or not warn
    ]


@pytest.mark.parametrize(("tool", "name"), questions())
def test_the_answer_is_the_twins_or_known_to_differ(tool: Tool, name: str) -> None:
    if tool.version is None:
        pytest.skip(f"{tool.package} is not installed")
    row = examine(tool, name)
    if tool.reason:
        assert row.ansnet != SAME, "agrees by now: the reason has to go"
        assert row.by_way_round in ("", SAME)
    else:
        assert (row.ansnet, row.detail) == (SAME, "")


@pytest.mark.parametrize(("tool", "name"), questions(warn=True))
def test_what_would_be_wrong_without_a_word_is_warned_of(tool: Tool, name: str) -> None:
    if tool.version is None:
        pytest.skip(f"{tool.package} is not installed")
    network = build(name, tool.dtype)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tool.ask(network)
    assert any(warning.category is ExactClassWarning for warning in caught)


def test_the_page_is_what_the_record_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(read()), "python -m tests.tools --page"


def test_the_record_is_of_these_tools() -> None:
    asked = {(tool.name, tool.asked, name) for tool in all_tools() for name in tool.networks}
    assert {row.key for row in read()} == asked, "python -m tests.tools"


def test_no_difference_is_unnamed() -> None:
    known = {(tool.name, tool.asked): tool for tool in all_tools()}
    for row in read():
        tool = known[row.tool, row.asked]
        assert (row.ansnet == SAME) == (not tool.reason), row
        assert row.by_way_round == (SAME if tool.way_round else ""), row
