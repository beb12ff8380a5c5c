"""``docs/tools.md``, made from the CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.tools.catalogue import KINDS, all_tools, tools_in
from tests.tools.record import RAISES, SAME, Row
from tests.tools.tool import Tool

PAGE = Path(__file__).parents[2] / "docs/tools.md"
HEAD = "| tool | version | asked | twin | ansnet |"


def page(rows: Sequence[Row]) -> str:
    """The page: a table for each kind of tool, each difference a numbered note below them."""
    by_question: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_question.setdefault((row.tool, row.asked), []).append(row)
    notes: dict[tuple[str, str], int] = {}
    tables = []
    for kind, module in KINDS.items():
        tables += ["", f"## {kind}", "", HEAD, "|---|---|---|---|---|"]
        for tool in tools_in(module):
            asked = by_question.get((tool.name, tool.asked), [])
            tables += [line(tool, asked, notes)] if asked else []
    return "\n".join([*introduction(rows), *tables, *reasons(notes), ""])


def introduction(rows: Sequence[Row]) -> list[str]:
    tools = {row.tool for row in rows}
    questions = {(row.tool, row.asked) for row in rows}
    others = {(row.tool, row.asked) for row in rows if row.ansnet != SAME}
    torches = ", ".join(sorted({row.torch for row in rows}))
    return [
        "# ansnet among the tools for PyTorch",
        "",
        f"Each of {len(tools)} tools is asked the same about a network of ours and about its twin, the "
        f"same network of `torch.nn` layers: {len(questions)} questions, and to "
        f"{len(questions - others)} of them the answers are the same. The others are numbered, and "
        "[below](#what-differs) is why, and the way round.",
        "",
        "Written by `python -m tests.tools`; not by hand. How an answer is had is in "
        "[`tests/tools`](../tests/tools), and each is a test: `pytest tests/tools -m ''`, with "
        "`pip install -e '.[test,tools]'`.",
        "",
        f"Asked with torch {torches}. *twin* is the answer about the twin, a tensor by its shape.",
    ]


def line(tool: Tool, rows: Sequence[Row], notes: dict[tuple[str, str], int]) -> str:
    first = rows[0]
    if all(row.ansnet == SAME for row in rows):
        result = "same"
    else:
        number = notes.setdefault((tool.name, tool.asked), len(notes) + 1)
        word = "raises" if any(row.ansnet == RAISES for row in rows) else "differs"
        result = f"**{word}** [{number}](#what-differs)"
    networks = "" if len(rows) == 1 else f" ({', '.join(row.network for row in rows)})"
    cells = [tool.name, first.version, tool.asked + networks, escaped(first.twin), result]
    return f"| {' | '.join(cells)} |"


def reasons(notes: dict[tuple[str, str], int]) -> list[str]:
    by_key = {(tool.name, tool.asked): tool for tool in all_tools()}
    lines = ["", "## What differs", ""]
    for key, number in notes.items():
        tool = by_key[key]
        round_ = f" Way round: `{tool.way_round}`." if tool.way_round else ""
        warns = " ansnet warns of it." if tool.warns else ""
        lines.append(f"{number}. {tool.name}, {tool.asked}: {tool.reason}.{warns}{round_}")
    return lines if notes else []


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
