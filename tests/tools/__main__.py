"""Ask the tools, keep what they say, and write the page; see `tests.tools`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.tools.answers import error_text
from tests.tools.catalogue import all_tools
from tests.tools.page import PAGE, page
from tests.tools.record import examine, merge, read, write
from tests.tools.tool import Tool


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools", description=__doc__)
    parser.add_argument("packages", nargs="*", help="ask these only")
    parser.add_argument("--page", action="store_true", help="ask nobody, write the page from the CSV")
    options = parser.parse_args()
    tools = all_tools()
    for tool in [] if options.page else tools:
        if tool.version is None or (options.packages and tool.package not in options.packages):
            continue
        for name in tool.networks:
            ask(tool, name)
    write(merge(read(), [], tools))
    PAGE.write_text(page(read()), encoding="utf-8")


def ask(tool: Tool, name: str) -> None:
    """Ask, tell, and keep the answer at once: the next tool may end the process."""
    question = f"{tool.name}, {tool.asked}, {name}"
    start = time.perf_counter()
    try:
        row = examine(tool, name)
    except Exception as error:  # about the twin: the probe is at fault, and the others go on
        print(f"{question}: {error_text(error)}", file=sys.stderr, flush=True)
        return
    write(merge(read(), [row], all_tools()))
    seconds = time.perf_counter() - start
    print(f"{seconds:5.1f} s  {question}: {row.ansnet} {row.detail}", flush=True)


if __name__ == "__main__":
    main()
