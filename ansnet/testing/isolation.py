"""Rows in a process of their own: what ends the interpreter, or never ends, is a row that fails."""

from __future__ import annotations

import faulthandler
import gc
import importlib
import os
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import cache
from typing import IO, Any

import torch
from torch import Tensor

from ansnet.first_backward import first_backward
from ansnet.processes import Ended, Send, TooSlow, messages
from ansnet.testing.capabilities import COMPILED
from ansnet.testing.case import Vacuous
from ansnet.testing.diagnosis import in_time
from ansnet.testing.report import Result, Row
from ansnet.testing.subject import Subject

TIMEOUT = 300.0  # seconds a row
MOST_TOO_SLOW = 3  # rows in succession, after which the others are not tried


class RaisedElsewhere(Exception):
    """An error of the other process: its traceback, as text."""


class CannotFork(RuntimeError):
    """A fork of this process could not work, since it waits for threads that do not live on in it."""


def can_fork() -> bool:
    """Whether a process can be forked without harm: not where others' threads are at work.

    Those are an accelerator's, and those by which processes of a distributed training talk.
    """
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return hasattr(os, "fork") and not together and not torch.accelerator.is_available()


def rows(subject: Subject, capabilities: Sequence[str], timeout: float = TIMEOUT) -> Iterator[Row]:
    """The rows as they come, from forks of this process.

    All are tried in one process. If it dies, the row that it died in is tried again alone, in a process
    of its own, and those after it in yet another. Where several in succession take too long, it is for
    a reason that they have in common, and the others are not tried.

    Args:
        subject: what is checked.
        capabilities: their names.
        timeout: seconds that a row may take.

    Raises:
        ValueError: the function returns no tensor.
        CannotFork: before the first row.
    """
    importlib.import_module("torch._dynamo")  # which torch loads late: here, or in each process to come
    if not COMPILED.isdisjoint(capabilities):
        warm_up(subject.backend)
    left, alone, too_slow = list(capabilities), False, 0
    while left and too_slow < MOST_TOO_SLOW:
        first = left[0]
        for row in batch(subject, left[:1] if alone else left, timeout):
            alone = isinstance(row, Died) and row.capability != first
            if alone:
                break
            yield row
            left = left[1:]
            too_slow = too_slow + 1 if isinstance(row, NotDone) else 0
    for capability in left:
        yield Row(capability, Result.FAIL, f"not tried, since {MOST_TOO_SLOW} rows before it {WAITED}")


@cache
def warm_up(backend: str) -> None:
    """Load the compiler and forward mode here, once, and not in each of the processes to come.

    A backend that does not work is for the rows to tell.
    """

    def slope(x: Tensor) -> Tensor:
        slopes: Tensor = torch.vmap(torch.func.grad(torch.sin))(x)
        return slopes

    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jacfwd(slope)(torch.ones(1))
        torch.compile(slope, backend=backend)(torch.ones(1))
    torch._dynamo.reset()


first_backward()  # so that code which the importing process generates from now on does no harm


class Died(Row):
    """A row in which the process ended."""


class NotDone(Row):
    """A row that took too long."""


WAITED = (
    "were not done in time; if the function waits for threads that it has started before, say "
    "isolated=False"
)


def batch(subject: Subject, capabilities: Sequence[str], timeout: float) -> Iterator[Row]:
    """The rows of one process; none after one in which it dies, or that takes too long."""
    with tempfile.TemporaryFile() as said:

        def work(send: Send) -> None:
            os.dup2(said.fileno(), 2)
            faulthandler.enable(said)
            try:
                alone()
            except CannotFork as error:
                send(error)
                return
            gc.freeze()  # the collector would write to, and so copy, all that the parent shares
            for capability in capabilities:
                send(_answer(subject, capability, timeout))

        with closing(messages(work, lambda: timeout)) as came:
            for capability in capabilities:
                try:
                    row = next(came)
                except TooSlow as end:
                    yield NotDone(capability, Result.FAIL, str(end))
                    return
                except Ended as end:
                    yield Died(capability, Result.FAIL, f"{end}{_where(said)}")
                    return
                if isinstance(row, (Vacuous, CannotFork)):
                    raise row
                assert isinstance(row, Row)
                yield row
            for _ in came:  # to its end: what it has printed is out
                pass
        sys.stderr.write(_said(said))


def alone() -> None:
    """Do without the threads of the process that this one is a fork of, which do not live on here.

    Raises:
        CannotFork: that is not possible.
    """
    torch.set_num_threads(1)
    compiler: Any = sys.modules.get("torch._inductor.config")
    if compiler:
        compiler.compile_threads = 1
    try:
        torch.set_num_interop_threads(1)
    except RuntimeError:
        raise CannotFork(
            "torch.jit.fork has started threads, or their number was set; say isolated=False"
        ) from None
    try:
        first_backward()
    except RuntimeError as error:
        way = "import ansnet.testing before anything is compiled, or say isolated=False"
        raise CannotFork(f"{error}; {way}") from None


def _answer(subject: Subject, capability: str, timeout: float) -> Row | Vacuous:
    """A row that can be pickled."""
    try:
        row = subject.row(capability, in_time(time.monotonic() + timeout / 2))
    except Vacuous as mistake:
        return mistake
    if row.error is None:
        return row
    told = "".join(traceback.format_exception(row.error))
    return replace(row, error=RaisedElsewhere(told))


def _where(said: IO[bytes]) -> str:
    """The line of Python in which a process died, and what it said there."""
    text = _said(said)
    place = re.search(r'File "(.+)", line (\d+) in (.+)', text)
    what = re.search(r"what\(\): *(.+)", text)
    where = f" in {place[3]} ({place[1]}:{place[2]})" if place else ""
    return where + (f": {what[1][:240]}" if what else "")


def _said(said: IO[bytes]) -> str:
    """All that a process wrote to its standard error."""
    said.seek(0)
    return said.read().decode(errors="replace")
