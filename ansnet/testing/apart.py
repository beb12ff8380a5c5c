"""A piece of work in a process of its own, whose end, or delay, harms nobody."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import NoReturn, TypeVar, cast

from torch import set_num_threads

T = TypeVar("T")


def apart(work: Callable[[], T], seconds: float) -> T | None:
    """What some work returns, from a fork of this process.

    To be called from a process of one thread only.

    Args:
        work: what to do; its result can be pickled.
        seconds: that it may take.

    Returns:
        Its result; None if it takes longer, raises an error or ends the process.
    """
    if seconds <= 0:
        return None
    receiver, sender = Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        _do(work, sender)
    sender.close()
    try:
        return cast("T", receiver.recv()) if receiver.poll(seconds) else None
    except EOFError:
        return None
    finally:
        receiver.close()
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _do(work: Callable[[], T], sender: Connection) -> NoReturn:
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        set_num_threads(1)
        sender.send_bytes(pickle.dumps(work()))
    except BaseException:
        os._exit(1)
    os._exit(0)
