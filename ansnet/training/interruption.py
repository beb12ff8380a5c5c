"""What a run does when it is told to end: by Ctrl-C, by a batch system, by a closed terminal."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from ansnet.training.launcher import is_first_of_node

# SLURM's --signal, and other batch systems, give notice by one of the last three
NOTICES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU")
SIGNALS = [getattr(signal, name) for name in NOTICES if hasattr(signal, name)]


class Interrupted(BaseException):
    """The run has been told to end, and has.

    Attributes:
        signum: the number of the signal.
        log_dir: where the run is recorded; None before there is a record.
        checkpoint: what it can go on from; None if nothing has been trained.
        is_complete: whether all epochs had been trained.
        done: how far it has come, in words.
        left: what the command that goes on does not do of what was asked for, in a line.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.log_dir: Path | None = None
        self.checkpoint: Path | None = None
        self.is_complete = False
        self.done = self.left = ""

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signum

    @property
    def name(self) -> str:
        return "Ctrl-C" if self.signum == signal.SIGINT else signal.Signals(self.signum).name


class Interruption:
    """Notes the first signal that tells the process to end, and ends it at the second.

    From the first step to the end of the run (``waits``) the first one is only noted: who takes the
    steps asks for it when it is safe to end (`asked`). At any other time it raises `Interrupted` where
    the program is. A signal that is ignored, as SIGHUP is under ``nohup``, stays so.

    Use it as a context manager in the main thread; elsewhere it does nothing.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.checkpoint: Path | None = None  # that the run has come from
        self.waits = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for each in SIGNALS:
                if signal.getsignal(each) is not signal.SIG_IGN:
                    self.before[each] = signal.getsignal(each)
            self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self.before.items():
            signal.signal(each, handler)
        self.before = {}

    def listen(self) -> None:
        """Take the signals again, which something else may have taken: Lightning takes SIGTERM."""
        for each in self.before:
            signal.signal(each, self.receive)

    def receive(self, signum: int, _: FrameType | None) -> None:
        if self.signum is not None:
            os._exit(128 + signum)
        self.signum = signum
        if not self.waits:
            raise self.end()
        if not is_first_of_node():  # Ctrl-C reaches all processes of a terminal
            return
        name = Interrupted(signum).name
        say(f"\n{name}: ends when this step is taken and saved; once more, and it ends at once\n")

    def asked(self) -> bool:
        """Whether this process has been told to end."""
        return self.signum is not None

    def end(self) -> Interrupted:
        """What to raise when everything is saved; of several processes only one may have been told."""
        interrupted = Interrupted(signal.SIGTERM if self.signum is None else self.signum)
        interrupted.checkpoint = self.checkpoint
        return interrupted


def say(text: str) -> None:
    """Write to the terminal, also in the middle of a ``print``, which may not be entered twice."""
    os.write(2, text.encode("ascii"))
