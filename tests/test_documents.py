"""What is written for readers: its links lead somewhere, its first screen is short."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "benchmarks/README.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
]


def anchors(document: Path) -> set[str]:
    """What a page's headings can be linked to by, as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        "".join(
            letter
            for letter in heading.lower().replace(" ", "-")
            if letter in "-_" or unicodedata.category(letter)[0] in "LN"
        )
        for heading in headings
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_its_links_lead_somewhere(document: Path) -> None:
    text = re.sub(
        r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        known = not anchor or target.suffix != ".md" or anchor in anchors(target)
        if not (target.exists() and known):
            dead.append(link)
    assert dead == []


def test_the_first_screen_of_the_readme_has_a_picture_two_commands_and_a_table() -> None:
    screen = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## ")[0]
    assert len(re.findall(r"^!\[", screen, re.MULTILINE)) == 1
    assert len(re.findall(r"^```sh$", screen, re.MULTILINE)) == 2
    assert len(re.findall(r"^\|---", screen, re.MULTILINE)) == 1
    assert len(screen.splitlines()) <= 50
