"""Try the Functions of a package, each in a process of its own, so that none can end this one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansnet import processes
from ansnet.scanning.source import Found, Parameter

if TYPE_CHECKING:
    from ansnet.testing.report import Report, Row


@dataclass(frozen=True)
class Trial:
    """What came of a Function.

    Attributes:
        found: which.
        samples: specifications of samples that it accepts; none were found where this is empty.
        reason: why it could not be tried.
        report: what came of the check, if it was checked.
        seconds: that each row took.
    """

    found: Found
    samples: tuple[str, ...] = ()
    reason: str = ""
    report: Report | None = None
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """How to try.

    Attributes:
        root: the folder that the package is imported from.
        check: whether those that can be tried are checked.
        timeout: seconds that an import, the search for a sample, or a row may take.
        backend: of `torch.compile`.
        only: the capabilities; empty: all.
        modules: dotted names of the package's modules, and their files.
    """

    root: Path
    check: bool = True
    timeout: float = 60.0
    backend: str = "aot_eager"
    only: tuple[str, ...] = ()
    modules: Mapping[str, Path] = field(default_factory=dict)


def trials(found: Sequence[Found], options: Options) -> Iterator[Trial]:
    """Try each, in order.

    A module is imported once, in a process that then forks another for each of its Functions. If that
    dies as it imports, the next one goes on behind that module.
    """
    if not processes.can_fork():
        yield from (Trial(each, reason="needs os.fork, which is not here") for each in found)
        return
    left, begun = list(found), False
    while left or not begun:
        doing, begun = "as it was imported", True
        try:
            for message in processes.messages(
                lambda send: work(found, tuple(left), options, send), lambda: 2 * options.timeout + 30
            ):
                if isinstance(message, str):
                    doing = message
                elif isinstance(message, Trial):
                    if message.found in left:
                        left.remove(message.found)
                    yield message
        except processes.Ended as end:
            yield from give_up(left, f"{end} {doing}")
        except processes.Failed as failure:
            yield from give_up(left, str(failure).strip().splitlines()[-1])
        else:
            return


def give_up(left: list[Found], reason: str) -> Iterator[Trial]:
    """The Functions of the module that could not be gone on with, which are taken from the list."""
    module = left[0].module if left else ""
    while left and left[0].module == module:
        yield Trial(left.pop(0), reason=reason)


def work(
    known: Sequence[Found], found: Sequence[Found], options: Options, send: processes.Send
) -> None:
    """Import and try, in a process that was made for it; at last what is there besides."""
    become_quiet()
    import torch

    torch.set_num_threads(1)
    if str(options.root) not in sys.path:
        sys.path.insert(0, str(options.root))
    for module, group in groupby(found, key=lambda each: each.module):
        send(f"as {module} was imported")
        with processes.alarm(options.timeout):
            reason = import_error(module)
        for each in group:
            send(f"as {each.name} was tried")
            if each.within:
                reason_now = f"it is written within {each.within}(), and cannot be imported"
            elif each.parameters is None:
                reason_now = "it has no forward: a base of others"
            else:
                reason_now = reason
            send(Trial(each, reason=reason_now) if reason_now else apart(each, options, send))
    for each in besides(known, options.modules):
        send(f"as {each.name} was tried")
        send(apart(each, options, send))


def import_error(module: str) -> str:
    """Import a module, and say in a line why it cannot be; empty if it can."""
    try:
        import_module(module)
    except processes.TooLong as error:
        return f"{module} was not imported: {error}"
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())[:200]
        return f"{module} cannot be imported: {type(error).__name__}: {text}"
    return ""


def besides(known: Sequence[Found], modules: Mapping[str, Path]) -> Iterator[Found]:
    """The package's Functions that no class statement makes, such as those made by ``type(…)``."""
    from torch.autograd import Function

    from ansnet.testing.signatures import has_context, parameters

    names = {(each.module, each.name) for each in known}
    for each in subclasses(Function):
        module, name = each.__module__, each.__qualname__
        if module not in modules or "<locals>" in name or (module, name) in names:
            continue
        has_setup_context = not has_context(each)
        takes = tuple(Parameter(parameter.name) for parameter in parameters(each.apply) or [])
        if getattr(sys.modules.get(module), name, None) is each:
            yield Found(module, name, modules[module], 1, has_setup_context, ("made at import",), takes)


def subclasses(base: type[Any]) -> Iterator[type[Any]]:
    """All classes below one."""
    for each in base.__subclasses__():
        yield each
        yield from subclasses(each)


def apart(found: Found, options: Options, tell: processes.Send) -> Trial:
    """Try one Function, in a process of its own; whoever waits is told after each row."""
    trial = Trial(found)
    since = time.monotonic()
    try:
        for message in processes.messages(
            lambda send: try_one(found, options, send), lambda: options.timeout + 5
        ):
            if isinstance(message, Trial):
                trial = replace(message, seconds=trial.seconds)
            elif isinstance(message, str):  # a row is there
                trial.seconds[message] = time.monotonic() - since
                tell(f"as {found.name} was tried")
            since = time.monotonic()
    except processes.Ended as end:
        return replace(trial, reason=f"{end} as it was tried")
    except processes.Failed as failure:
        return replace(trial, reason=str(failure).strip().splitlines()[-1])
    return trial


def try_one(found: Found, options: Options, send: processes.Send) -> None:
    """Guess samples, tell them, check, and tell the report."""
    from ansnet.scanning.guess import NoGuessError, guess
    from ansnet.testing.battery import check_apart
    from ansnet.testing.capabilities import CAPABILITIES

    owner: Any = sys.modules[found.module]
    for part in found.name.split("."):
        if not hasattr(owner, part):
            send(Trial(found, reason=f"{found.module} has no {found.name} once it is imported"))
            return
        owner = getattr(owner, part)
    try:
        with processes.alarm(options.timeout):
            samples = tuple(guess(owner.apply))
    except NoGuessError as error:
        send(Trial(found, reason=str(error)))
        return
    except processes.TooLong as error:
        send(Trial(found, reason=f"no sample was found: {error}"))
        return
    send(Trial(found, samples))
    if not options.check:
        return
    report = check_apart(
        owner.apply,
        None,
        samples,
        backend=options.backend,
        only=options.only or CAPABILITIES,
        timeout=options.timeout,
        progress=lambda row: send(row.capability),
    )
    send(Trial(found, samples, report=replace(report, rows=tuple(map(without_error, report.rows)))))


def without_error(row: Row) -> Row:
    """The row without what was raised, which may not be one that can be sent."""
    return replace(row, error=None)


def become_quiet() -> None:
    """What packages print as they are imported goes nowhere."""
    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  (for as long as it lives)
    for number in (1, 2):
        os.dup2(nowhere.fileno(), number)
    sys.stdout = sys.stderr = nowhere
