"""Runs the examples of docs/capabilities/, and writes into each page what the harness says of them.

    python benchmarks/capability_pages.py               # all pages, and their index
    python benchmarks/capability_pages.py gradcheck vmap

A page is written by hand, but for the sentence of what is asked, the capability's docstring, and for
what its two examples print. The first has to fail, the second to pass; tests/testing/test_pages.py
sees to it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ansnet.testing import CAPABILITIES

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "capabilities"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WITHOUT_DEVICE = "devices"  # its example is run where there is an accelerator


def page_of(capability: str) -> Path:
    """Where a capability's page is."""
    return FOLDER / f"{capability.replace(' ', '-')}.md"


def blocks_of(page: str) -> list[str]:
    """The two examples of a page.

    Raises:
        ValueError: there are not two.
    """
    found = [text for language, text in BLOCK.findall(page) if language == "python"]
    if len(found) != 2:
        raise ValueError(f"a page has two examples, this one has {len(found)}")
    return found


def outputs_of(page: str, folder: Path) -> list[str]:
    """What the two examples print, run one after the other as one file ``example.py``."""
    blocks = blocks_of(page)
    file = folder / "example.py"
    file.write_text("\n\n".join(blocks), encoding="utf-8")
    specification = importlib.util.spec_from_file_location("example", file)
    assert specification is not None
    module = importlib.util.module_from_spec(specification)
    outputs, line = [], 0
    with registered(module), contextlib.chdir(folder):
        for block in blocks:
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(compile("\n" * line + block, str(file), "exec"), vars(module))
            text = said.getvalue().replace(f"{folder}/", "").replace(f"{ROOT}/", "")
            outputs.append(text.rstrip("\n"))
            line += block.count("\n") + 2
    return outputs


@contextlib.contextmanager
def registered(module: object) -> Iterator[None]:
    """A module that can be found by its name, as pickle and `inspect` look for it."""
    sys.modules["example"] = module  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["example"]


def asked_of(capability: str) -> str:
    """The first paragraph of what a capability asks, as one line."""
    return " ".join((CAPABILITIES[capability].__doc__ or "").split("\n\n")[0].split())


def written(capability: str, page: str, outputs: list[str]) -> str:
    """The page with what was printed, and with what is asked."""
    remaining = iter(outputs)

    def filled(block: re.Match[str]) -> str:
        return block[0] if block[1] else f"```\n{next(remaining)}\n```"

    asked = asked_of(capability).replace("\\", "\\\\")
    return re.sub(r"^> .*$", f"> {asked}", BLOCK.sub(filled, page), count=1, flags=re.MULTILINE)


def index() -> str:
    """The page that leads to the others."""
    lines = [
        "# What each capability asks",
        "",
        "A page each: what it asks, who suffers where it is missing, a small example that fails, what "
        "the harness says of it, and the example mended. What the examples print was written into the "
        "pages by `python benchmarks/capability_pages.py`, and is [tested]"
        "(../../tests/testing/test_pages.py).",
        "",
        "| capability | passes where |",
        "|---|---|",
    ]
    for capability in CAPABILITIES:
        lines.append(f"| [{capability}]({page_of(capability).name}) | {asked_of(capability)} |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Rewrite the pages that the command line names, or all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("capabilities", nargs="*", metavar="CAPABILITY", help="all unless given")
    chosen = parser.parse_args().capabilities or list(CAPABILITIES)
    for capability in chosen:
        page = page_of(capability)
        text = page.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            outputs = outputs_of(text, Path(os.path.realpath(folder)))
        failed, passed = "FAIL" in outputs[0], "1 passed, 0 failed" in outputs[1]
        print(f"{'ok ' if failed and passed else '???'} {capability}", flush=True)
        page.write_text(written(capability, text, outputs), encoding="utf-8")
    (FOLDER / "README.md").write_text(index(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
