"""``docs/tools.md``, made from the CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.tools.catalogue import KINDS, all_tools, tools_in
from tests.tools.record import DIFFERS, RAISES, SAME, Row
from tests.tools.tool import Tool

PAGE = Path(__file__).parents[2] / "docs/tools.md"
HEAD = "| tool | version | asked | twin | ansnet |"


def page(rows: Sequence[Row]) -> str:
    """The page: what differs and why, then a table for each kind of tool."""
    by_question: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_question.setdefault((row.tool, row.asked), []).append(row)
    different = {
        key: number
        for number, key in enumerate(
            (key for key, asked in by_question.items() if any(row.ansnet != SAME for row in asked)), 1
        )
    }
    lines = [*introduction(by_question, different), *what_differs(by_question, different)]
    for kind, module in KINDS.items():
        lines += ["", f"## {kind}", "", HEAD, "|---|---|---|---|---|"]
        for tool in tools_in(module):
            asked = by_question.get((tool.name, tool.asked), [])
            lines += [line(tool, asked, different)] if asked else []
    return "\n".join([*lines, ""])


Questions = Mapping[tuple[str, str], list[Row]]
Numbers = Mapping[tuple[str, str], int]


def introduction(questions: Questions, different: Numbers) -> list[str]:
    rows = [row for asked in questions.values() for row in asked]
    tools, packages = {row.tool for row in rows}, {row.package for row in rows}
    torches = ", ".join(sorted({row.torch for row in rows}))
    return [
        "# ansnet among the tools for PyTorch",
        "",
        f"Each of {len(tools)} tools, from {len(packages)} packages, is asked the same about a network "
        "of ours and about its twin, the same network of `torch.nn` layers. Of "
        f"{len(questions)} questions {len(questions) - len(different)} have the same answer. Why the "
        "others have not, and the way round, comes first.",
        "",
        "Written by `python -m tests.tools`; not by hand. How an answer is had is in "
        "[`tests/tools`](../tests/tools), and each is a test: `pytest tests/tools -m ''`, with "
        "`pip install -e '.[test,tools]'`.",
        "",
        f"Asked with torch {torches}. *twin* is the answer about the twin, in short, a tensor by its "
        "shape; compared are the whole answers. *every layer* and *plain* are small networks, with "
        "residual block and batch normalisation and without.",
    ]


def what_differs(questions: Questions, different: Numbers) -> list[str]:
    tools = {(tool.name, tool.asked): tool for tool in all_tools()}
    lines = [
        "",
        "## What differs",
        "",
        "*By the exact class*: the tool asks whether `type(layer) is nn.ReLU`. Ours are subclasses, so "
        "it takes them for layers that it does not know. `ansnet.modules.to_torch(network)` is that "
        "network of the layers that it does know, with the same weights.",
        "",
        "| | tool | asked | why | way round |",
        "|---|---|---|---|---|",
    ]
    for key, number in different.items():
        tool = tools[key]
        why = f"{result(questions[key])}, {tool.reason}{'; ansnet warns of it' if tool.warns else ''}"
        way = f"`{tool.way_round}`" if tool.way_round else ""
        lines.append(f"| {number} | {tool.name} | {tool.asked} | {why} | {way} |")
    return lines


def line(tool: Tool, rows: Sequence[Row], different: Numbers) -> str:
    first = rows[0]
    said = result(rows)
    if said != SAME:
        said = f"**{said}** [{different[tool.name, tool.asked]}](#what-differs)"
    networks = f" ({', '.join(row.network for row in rows)})" if len(rows) > 1 else ""
    return (
        f"| {tool.name} | {first.version} | {tool.asked}{networks} | {escaped(first.twin)} | {said} |"
    )


def result(rows: Sequence[Row]) -> str:
    """Of all networks: the worst."""
    said = {row.ansnet for row in rows}
    return RAISES if RAISES in said else DIFFERS if DIFFERS in said else SAME


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
