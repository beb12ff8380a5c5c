"""``python -m ansnet capabilities``: the battery's table of ansnet's own operations, in Markdown."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version

from ansnet.commands.backend import add_backend, check_backend
from ansnet.commands.mistake import Mistake
from ansnet.commands.plain import PlainParser


def make_parser() -> PlainParser:
    parser = PlainParser(
        prog="python -m ansnet capabilities",
        description="Print the table of ansnet's operations, in Markdown, as docs/capabilities.md has "
        "it.",
    )
    add_backend(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit code is 1 if a capability fails."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        check_backend(given.backend)
    except Mistake as mistake:
        parser.error(str(mistake))

    from ansnet.testing.battery import check
    from ansnet.testing.capabilities import CAPABILITIES
    from ansnet.testing.operations import OPERATIONS
    from ansnet.testing.report import markdown

    reports = [
        check(op.function, op.reference, op.samples(), layer=op.layer(), backend=given.backend)
        for op in OPERATIONS.values()
    ]
    machine = (
        f"torch {version('torch')}, Python {platform.python_version()}, {platform.machine()}, "
        f"`torch.compile` with {given.backend}"
    )
    descriptions = {name: (code.__doc__ or "").splitlines()[0] for name, code in CAPABILITIES.items()}
    print(markdown(reports, descriptions, machine))
    return 0 if all(report.passed for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
