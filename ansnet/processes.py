"""Work in a process of its own, so that what ends the interpreter, or never ends, is an answer.

It needs `os.fork`, which Windows has not.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, Pipe
from typing import NoReturn

Send = Callable[[object], None]


class Ended(Exception):
    """The process ended before its work did; the message says how."""


class TooSlow(Ended):
    """The process was ended, since it sent nothing for too long."""


class Failed(Exception):
    """The work raised an error; the message is its traceback."""


def can_fork() -> bool:
    """Whether a process can be forked at all."""
    return hasattr(os, "fork")


def messages(
    work: Callable[[Send], None], timeout: Callable[[], float | None] = lambda: None
) -> Generator[object, None, None]:
    """What a forked process sends, as it comes.

    Args:
        work: is called in the process, with a function that sends an object, which is pickled.
        timeout: for how many seconds the next message is waited for; None: for ever.

    Yields:
        The objects.

    Raises:
        Ended: the process died; `TooSlow`: it sent nothing for too long.
        Failed: the work raised an error.
    """
    receiver, sender = Pipe(duplex=False)
    child = _fork()
    if child == 0:
        receiver.close()
        _carry_out(work, sender)
    sender.close()
    try:
        while True:
            seconds = timeout()
            if not receiver.poll(seconds):
                raise TooSlow(f"not done after {seconds:g} s")
            try:
                kind, content = pickle.loads(receiver.recv_bytes())
            except EOFError:
                _, status = os.waitpid(child, 0)
                child = 0
                raise Ended(ended(status)) from None
            if kind == "done":
                return
            if kind == "failed":
                raise Failed(content)
            yield content
    finally:
        receiver.close()
        if child:
            _end(child)


def ended(status: int) -> str:
    """How a process ended, in words; the status as `os.waitpid` has it."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"the process died of {signal.Signals(number).name} ({signal.strsignal(number)})"
    return f"the process ended with exit code {os.waitstatus_to_exitcode(status)}"


def _fork() -> int:
    sys.stdout.flush()  # or what waits to be written would be written twice
    sys.stderr.flush()
    with warnings.catch_warnings():
        # Python's own, of threads: each kind of work here keeps to one
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _carry_out(work: Callable[[Send], None], sender: Connection) -> NoReturn:
    """What the forked process does."""
    code = 1
    os.setsid()  # a group of its own, which can be ended as a whole
    try:
        with suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGTERM, _exit)  # so that what this process started is ended, too
        try:
            work(lambda content: sender.send_bytes(pickle.dumps(("sent", content))))
            end = ("done", "")
        except Exception:
            end = ("failed", traceback.format_exc())
        sys.stdout.flush()
        sys.stderr.flush()
        sender.send_bytes(pickle.dumps(end))
        code = 0
    except BrokenPipeError:  # nobody waits for it any longer
        code = 1
    except KeyboardInterrupt:
        code = 130
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(code)


def _exit(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _end(child: int, patience: float = 2.0) -> None:
    """End a process: asked to at first, so that it can end those that it started; then all of them."""
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGTERM)
    until = time.monotonic() + patience
    over = False
    while not over and time.monotonic() < until:
        over = bool(os.waitpid(child, os.WNOHANG)[0])
        time.sleep(0 if over else 0.01)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    if not over:
        os.waitpid(child, 0)


class TooLong(BaseException):
    """Something took longer than it may; no handler of errors is to take it for one."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Have `TooLong` raised if what is done within takes longer; for the main thread, by a signal."""

    def ring(*_: object) -> NoReturn:
        raise TooLong(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
