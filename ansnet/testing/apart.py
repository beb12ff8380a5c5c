"""A piece of work in a process of its own, whose end, or delay, harms nobody."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TypeVar, cast

from torch import set_num_threads

from ansnet.processes import Ended, Failed, Send, messages

T = TypeVar("T")


def apart(work: Callable[[], T], seconds: float) -> T | None:
    """What some work returns, from a fork of this process, in which it says nothing.

    To be called from a process of one thread only.

    Args:
        work: what to do; its result can be pickled.
        seconds: that it may take.

    Returns:
        Its result; None if it takes longer, raises an error or ends the process.
    """
    if seconds <= 0:
        return None

    def silently(send: Send) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        set_num_threads(1)
        send(work())

    with suppress(Ended, Failed), closing(messages(silently, lambda: seconds)) as came:
        return cast("T", next(came))
    return None
