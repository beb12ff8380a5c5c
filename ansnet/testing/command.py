"""``python -m ansnet check package.module:function``."""

from __future__ import annotations

import argparse
import importlib
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NoReturn

EXAMPLES = """
examples:
  python -m ansnet check ansnet.functional:conv2d
  python -m ansnet check mypackage.ops:swish --reference torch.nn.functional:silu \\
      --samples mypackage.ops:swish_samples
  python -m ansnet check mypackage.ops:swish --only gradcheck --only "per sample gradients"
  python -m ansnet capabilities > docs/capabilities.md

--samples names a list of ansnet.testing.Sample or of tuples of arguments, or a function that makes one;
without it, it is <function>_samples beside the function. ansnet's own operations bring their own.
"""


class Mistake(Exception):
    """What the user gave is wrong; the message says what, what was expected, and what to do."""


class OneLineParser(argparse.ArgumentParser):
    """Answers bad input with one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: error: {message}; see python -m ansnet --help", file=sys.stderr)
        sys.exit(2)


def make_parser() -> OneLineParser:
    """The parser of the command line."""
    parser = OneLineParser(
        prog="python -m ansnet",
        description="Check a differentiable function in every way in which PyTorch may use it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, parser_class=OneLineParser)
    check = commands.add_parser(
        "check", help="run the battery on one function; exit code 1 if a capability fails"
    )
    check.add_argument("function", metavar="package.module:function")
    check.add_argument("--reference", metavar="package.module:function", help="what it should equal")
    check.add_argument("--samples", metavar="package.module:name", help="arguments to try it on")
    check.add_argument("--only", action="append", metavar="CAPABILITY", help="may be repeated")
    capabilities = commands.add_parser(
        "capabilities", help="print the table of ansnet's operations, in Markdown"
    )
    for command in (check, capabilities):
        command.add_argument(
            "--backend",
            default="inductor",
            help="of torch.compile (default: inductor, which needs a C++ compiler; aot_eager does not)",
        )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = make_parser()
    parsed = parser.parse_args(arguments)
    try:
        return check_one(parsed) if parsed.command == "check" else print_capabilities(parsed.backend)
    except Mistake as mistake:
        parser.error(str(mistake))


def check_one(parsed: argparse.Namespace) -> int:
    """Print the report of one function."""
    from ansnet.testing.battery import check
    from ansnet.testing.operations import OPERATIONS

    function = load(parsed.function)
    operation = next((known for known in OPERATIONS.values() if known.function is function), None)
    reference = operation.reference if operation else None
    if parsed.reference:
        reference = load(parsed.reference)
    samples = operation.samples() if operation and not parsed.samples else load_samples(parsed)
    options: dict[str, Any] = {"only": parsed.only} if parsed.only else {}
    if operation:
        options["layer"] = operation.layer()
    try:
        report = check(function, reference, samples, backend=parsed.backend, **options)
    except (TypeError, ValueError) as error:
        raise Mistake(str(error)) from None
    print(report)
    return 0 if report.passed else 1


def load_samples(parsed: argparse.Namespace) -> Any:
    """What ``--samples`` names, or else ``<function>_samples``; called if it is a function."""
    place = parsed.samples or f"{parsed.function}_samples"
    try:
        samples = load(place)
    except Mistake as mistake:
        hint = "" if parsed.samples else "; name a list of samples with --samples package.module:name"
        raise Mistake(f"{mistake}{hint}") from None
    return samples() if callable(samples) else samples


def load(place: str) -> Any:
    """The object that ``package.module:name`` names.

    Raises:
        Mistake: it is not written so, or there is no such module or name.
    """
    module_name, colon, name = place.partition(":")
    if not (module_name and colon and name):
        raise Mistake(f"got {place!r}, expected package.module:name")
    try:
        found = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise Mistake(f"there is no module {error.name!r} (from {place!r})") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise Mistake(f"module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    return found


def print_capabilities(backend: str) -> int:
    """Print the table of ansnet's operations."""
    from ansnet.testing.battery import CAPABILITIES, check
    from ansnet.testing.operations import OPERATIONS
    from ansnet.testing.report import markdown

    reports = [
        check(op.function, op.reference, op.samples(), layer=op.layer(), backend=backend)
        for op in OPERATIONS.values()
    ]
    machine = (
        f"torch {version('torch')}, Python {platform.python_version()}, {platform.machine()}, "
        f"`torch.compile` with {backend}"
    )
    descriptions = {name: (code.__doc__ or "").splitlines()[0] for name, code in CAPABILITIES.items()}
    print(markdown(reports, descriptions, machine))
    return 0 if all(report.passed for report in reports) else 1
