"""``python -m ansnet check package.module:function``."""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from ansnet.commands.options import add_backend, check_backend
from ansnet.commands.parser import Mistake, OneLineParser

EXAMPLES = """
examples:
  python -m ansnet check ansnet.functional:conv2d
  python -m ansnet check mypackage.ops:swish --reference torch.nn.functional:silu \\
      --samples mypackage.ops:swish_samples
  python -m ansnet check mypackage.ops:swish --only gradcheck --only "per sample gradients"

--samples names a list of ansnet.testing.Sample or of tuples of arguments, or a function that makes one;
without it, it is <function>_samples beside the function. ansnet's own operations bring their own.
"""


def make_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="python -m ansnet check",
        description="Check a differentiable function in every way in which PyTorch may use it; exit "
        "code 1 if a capability fails.",
        epilog=EXAMPLES,
    )
    parser.add_argument("function", metavar="package.module:function", help="what is checked")
    parser.add_argument("--reference", metavar="package.module:function", help="what it should equal")
    parser.add_argument("--samples", metavar="package.module:name", help="arguments to try it on")
    parser.add_argument(
        "--only", action="append", metavar="CAPABILITY", help="this capability; may be repeated"
    )
    add_backend(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the function that the command line names, and return the exit code."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        return check_one(given)
    except Mistake as mistake:
        parser.error(f"{mistake}; see {parser.prog} --help")


def check_one(parsed: Namespace) -> int:
    """Print the report of one function."""
    from ansnet.testing.battery import check
    from ansnet.testing.operations import OPERATIONS

    check_backend(parsed.backend)
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


def load_samples(parsed: Namespace) -> Any:
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
    except Exception as error:  # whatever its own code raises
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise Mistake(f"the module of {place!r} cannot be imported ({reason})") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise Mistake(f"module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    return found


if __name__ == "__main__":
    sys.exit(main())
