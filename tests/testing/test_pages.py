"""The pages about capabilities: the first example of each fails it, the second, mended, passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from ansnet.testing import CAPABILITIES
from capability_pages import BLOCK, FOLDER, ROOT, WITHOUT_DEVICE, asked_of, index, outputs_of, page_of


def causes_in(output: str) -> list[str]:
    """What a printed report says of the causes, but for numbers and for the error's own words."""
    told = re.sub(r"^ +first .*?(?=^ +(at|mend|page) )", "", output, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"-?\d+(\.\d+)?(e[-+]\d+)?", "#", told).split()


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_page_says_what_its_examples_do(capability: str, tmp_path: Path) -> None:
    page = page_of(capability).read_text(encoding="utf-8")
    assert page.startswith(f"# {capability}\n\n> {asked_of(capability)}\n")
    if capability == WITHOUT_DEVICE and not torch.accelerator.is_available():
        pytest.skip("no accelerator")
    failing, mended = outputs_of(page, tmp_path)
    assert "0 passed, 1 failed, 0 not applicable" in failing
    assert "1 passed, 0 failed, 0 not applicable" in mended
    printed = [text for language, text in BLOCK.findall(page) if not language]
    assert causes_in(printed[0]) == causes_in(failing)
    assert f"page   docs/capabilities/{page_of(capability).name}" in failing


def test_the_index_leads_to_all_of_them() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == index()
    pages = {page_of(capability).name for capability in CAPABILITIES}
    assert {file.name for file in FOLDER.glob("*.md")} == pages | {"README.md"}


@pytest.mark.parametrize("document", ["docs/check.md", "docs/capabilities.md"])
def test_the_index_is_found(document: str) -> None:
    assert "(capabilities/README.md)" in (ROOT / document).read_text(encoding="utf-8")
