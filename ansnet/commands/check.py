"""``python -m ansnet check package.module:function``."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ansnet import processes
from ansnet.commands.backend import add_backend, check_backend
from ansnet.commands.flags import as_flags
from ansnet.commands.mistake import Mistake, shortened
from ansnet.commands.output import add_output, check_output, kept_clean, write
from ansnet.commands.plain import PlainParser, seconds, tolerance, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch

    from ansnet.testing.case import Sample
    from ansnet.testing.operations import Operation

EXAMPLES = """
examples:
  python -m ansnet check mypackage.ops:Swish --sample "f64[3, 4]"
  python -m ansnet check mypackage.ops:swish --reference torch.nn.functional:silu \\
      --samples tests/samples.py:swish_samples --only gradcheck,gradgradcheck
  python -m ansnet check ops.py:Conv --sample "f64[2, 3, 5, 5], f64[4, 3, 3, 3], stride=2" \\
      --not-applicable "vmap=it draws random numbers" --junit report.xml

A sample lists the arguments: tensors by dtype and shape, values as in Python.
  f64[3, 4]                 random numbers; requires grad (also f32, f16, bf16, c128, c64)
  const f64[3, 4]           the same, a constant
  f64[3, 4] in 0.1..0.9     from 0.1 up to 0.9
  i64[3] < 10, bool[3]      whole numbers from 0 to 9, True or False
  f64([[1, 2], [3, 4]])     these numbers
  [f64[3], f64[3]], (2, 3), 0.5, True, None, "mean", stride=2

Without samples, <function>_samples beside the function is taken: a list of ansnet.testing.Sample, of
tuples of arguments or of such lines, or a function that makes one.

exit code: 0 if all is well, 1 if a capability fails or an essential one could not be tried, 2 for wrong
input
"""


def make_parser() -> PlainParser:
    parser = PlainParser(
        prog="python -m ansnet check",
        description="Check a differentiable function in every way in which PyTorch may use it.",
        epilog=EXAMPLES,
    )
    name = "package.module:name"
    parser.add_argument(
        "function",
        metavar="FUNCTION",
        help=f"what is checked, as {name} or path/to/file.py:name: a torch.autograd.Function, a "
        "function or a module",
    )
    parser.add_argument("--reference", metavar=name, help="what it should equal")
    parser.add_argument(
        "--derivative", metavar=name, help="whose derivative it should have, if not its own"
    )
    parser.add_argument(
        "--sample",
        action="append",
        default=[],
        metavar="LINE",
        help="arguments to try; may be repeated",
    )
    parser.add_argument(
        "--samples", metavar="PLACE", help=f"{name} of the samples, or a file of Python that makes them"
    )
    parser.add_argument(
        "--arguments", metavar="LINE", help="to make a module of its class with, as '3, 4, bias=False'"
    )
    add_only(parser)
    for flag, meaning in (
        ("--not-applicable", "it makes no sense here, for this reason"),
        ("--expected-failure", "it is known to fail, for this reason; if it passes, that is a failure"),
    ):
        parser.add_argument(
            flag, action="append", default=[], metavar="CAPABILITY=REASON", help=meaning
        )
    parser.add_argument("--dtypes", metavar="DTYPES", help="in which it works, as f64,f32,bf16")
    parser.add_argument("--devices", metavar="DEVICES", help="on which it is to work, as cuda,cpu")
    parser.add_argument("--atol", type=tolerance, metavar="X", help="by how much numbers may differ")
    parser.add_argument("--rtol", type=tolerance, metavar="X", help="the same, relative")
    parser.add_argument("--seed", type=whole_number, default=0, metavar="N", help="of random numbers")
    parser.add_argument(
        "--timeout", type=seconds, metavar="SECONDS", help="that a capability may take (default: 300)"
    )
    add_output(parser)
    add_backend(parser)
    return parser


def add_only(parser: ArgumentParser) -> None:
    only = parser.add_argument(
        "--only", action="append", metavar="CAPABILITY", help="this one, or several with commas"
    )
    only.completer = capabilities  # type: ignore[attr-defined]


def capabilities(**_: Any) -> Iterable[str]:
    """For a shell that completes."""
    from ansnet.testing import CAPABILITIES

    return list(CAPABILITIES)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the function that the command line names, and return the exit code."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    try:
        check_output(given)
        if not processes.can_fork():
            return check_one(given, lambda _: None)
        return guarded(given)
    except Mistake as mistake:
        parser.error(f"{mistake}; see {parser.prog} --help")


def guarded(parsed: Namespace) -> int:
    """Check in a process of its own, for what ends the interpreter as it is imported.

    Raises:
        Mistake: the input is wrong.
    """

    def work(send: processes.Send) -> None:
        try:
            send(check_one(parsed, send))
        except Mistake as mistake:
            send(mistake)

    doing, answer = "", None
    try:
        for message in processes.messages(work):
            if isinstance(message, str):
                doing = message
            else:
                answer = message
    except processes.Ended as end:
        raise Mistake(f"{end} {doing}") from None
    except processes.Failed as failure:
        print(failure, file=sys.stderr)
    if isinstance(answer, Mistake):
        raise answer
    return answer if isinstance(answer, int) else 1


def check_one(parsed: Namespace, tell: Callable[[str], None]) -> int:
    """Print the report of one function, row by row, and return the exit code.

    Args:
        parsed: the command line.
        tell: is told what is being done.

    Raises:
        Mistake: the input is wrong.
    """
    # so that to ask whether there is a CUDA device keeps no fork from using it
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

    from ansnet.commands.rows import Printer
    from ansnet.testing.battery import check_apart
    from ansnet.testing.capabilities import CAPABILITIES
    from ansnet.testing.exchange import as_json

    options: dict[str, Any] = {
        "not_applicable": reasons("--not-applicable", parsed.not_applicable),
        "expected_failures": reasons("--expected-failure", parsed.expected_failure),
        "only": chosen(parsed.only) if parsed.only else list(CAPABILITIES),
        **{name: getattr(parsed, name) for name in ("backend", "atol", "rtol", "seed")},
        "dtypes": dtypes(parsed.dtypes) if parsed.dtypes else None,
        "devices": listed(parsed.devices) if parsed.devices else None,
        **({"timeout": parsed.timeout} if parsed.timeout else {}),
        "isolated": forks_well(),
    }
    check_backend(parsed.backend)
    with kept_clean(parsed) as stdout:
        function, reference, samples, further, note = subject(parsed, tell)
        if note:
            print(note)
        printer = Printer(function, parsed.function, options["only"], tell)
        try:
            report = check_apart(function, reference, samples, progress=printer, **options, **further)
        except (TypeError, ValueError) as error:
            raise Mistake(as_flags(" ".join(str(error).split()))) from None
        printer.end(report)
        timed = printer.timed(report)
        write(parsed, stdout, as_json(timed), [timed])
    return 0 if report.passed else 1


def forks_well() -> bool:
    """Whether rows can be tried in forks of this process: not once CUDA is at work in it."""
    import torch

    return processes.can_fork() and not torch.cuda.is_initialized()


def subject(
    parsed: Namespace, tell: Callable[[str], None]
) -> tuple[Any, Any, Sequence[Sample], dict[str, Any], str]:
    """The function, its reference, the samples, further options of `check`, and what is to be said.

    Raises:
        Mistake: one of them cannot be loaded, or does not fit.
    """
    import torch

    from ansnet.commands.named import doubled, named, samples_of

    torch.manual_seed(parsed.seed)
    tell(f"while {shortened(parsed.function)} was imported")
    function, note = named(parsed.function, parsed.arguments)
    operation = own_operation(function)
    further: dict[str, Any] = {}
    reference = operation.reference if operation else None
    for name, place in (("reference", parsed.reference), ("derivative", parsed.derivative)):
        if place:
            tell(f"while {shortened(place)} was imported")
            other = named(place, parsed.arguments if is_module_class(place) else None).function
            if name == "reference":
                reference = other
            else:
                further[name] = other
    tell("while the samples were made")
    if operation and not (parsed.samples or parsed.sample):
        samples = list(operation.samples())
    else:
        samples = samples_of(parsed, function)
    if operation:
        further["layer"] = operation.layer()
    tell("")
    return (
        doubled(function, samples),
        doubled(reference, samples),
        samples,
        {
            name: value if name == "layer" else doubled(value, samples)
            for name, value in further.items()
        },
        note,
    )


def own_operation(function: Any) -> Operation | None:
    """What is known of the function, if it is one of ansnet's operations."""
    if not (getattr(function, "__module__", None) or "").startswith("ansnet."):
        return None
    from ansnet.testing.operations import OPERATIONS

    return next((known for known in OPERATIONS.values() if known.function is function), None)


def is_module_class(place: str) -> bool:
    """Whether a place names the class of a module."""
    from torch import nn

    from ansnet.commands.loading import load

    found = load(place)
    return isinstance(found, type) and issubclass(found, nn.Module)


def chosen(given: Sequence[str]) -> list[str]:
    """The capabilities that ``--only`` names.

    Raises:
        Mistake: there is none of one of the names.
    """
    names = [name for each in given for name in listed(each)]
    if not names:
        raise Mistake("--only: it names no capability")
    return list(dict.fromkeys(known("--only", name) for name in names))


def dtypes(given: str) -> list[torch.dtype]:
    """The dtypes by the names that they have in samples, or by PyTorch's.

    Raises:
        Mistake: there is none of one of the names.
    """
    from ansnet.testing.specification import BY_NAME, DTYPES

    for name in listed(given):
        if name not in BY_NAME:
            nearest = get_close_matches(name, BY_NAME, n=1)
            hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(DTYPES)}"
            raise Mistake(f"--dtypes: there is no dtype {shortened(name)!r}; {hint}")
    return [BY_NAME[name] for name in listed(given)]


def listed(given: str) -> list[str]:
    """What stands between commas."""
    return [each.strip() for each in given.split(",") if each.strip()]


def reasons(flag: str, given: Sequence[str]) -> dict[str, str]:
    """Capabilities and the reasons given for them.

    Raises:
        Mistake: there is no such capability, or no reason.
    """
    found = {}
    for each in given:
        name, _, reason = each.partition("=")
        if not reason.strip():
            raise Mistake(f"{flag}: got {shortened(each)!r}, expected CAPABILITY=REASON")
        found[known(flag, name)] = reason.strip()
    return found


def known(flag: str, name: str) -> str:
    """A capability's name, also if it is written with - or _ for spaces.

    Raises:
        Mistake: there is none of this name.
    """
    from ansnet.testing.capabilities import CAPABILITIES

    plain = " ".join(name.replace("-", " ").replace("_", " ").lower().split())
    if plain not in CAPABILITIES:
        nearest = get_close_matches(plain, CAPABILITIES, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(CAPABILITIES)}"
        raise Mistake(f"{flag}: unknown capability {shortened(name.strip())!r}; {hint}")
    return plain


if __name__ == "__main__":
    sys.exit(main())
