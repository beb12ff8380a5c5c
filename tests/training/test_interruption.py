"""`ansnet.training.interruption`: the first signal is noted or raised, the second one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from ansnet.training.interruption import SIGNALS, Interrupted, Interruption


@pytest.fixture(autouse=True)
def _as_in_the_foreground() -> Iterator[None]:
    """In the background a shell has Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("each", SIGNALS)
def test_a_signal_is_raised_where_nobody_waits_for_it(each: signal.Signals) -> None:
    before = signal.getsignal(each)
    with Interruption() as interruption:
        with pytest.raises(Interrupted) as error:
            signal.raise_signal(each)
        assert interruption.asked()
    assert error.value.exit_code == 128 + each
    assert signal.getsignal(each) is before


def test_while_a_step_is_taken_it_is_noted_and_said(capfd: pytest.CaptureFixture[str]) -> None:
    with Interruption() as interruption:
        interruption.waits = True
        assert not interruption.asked()
        signal.raise_signal(signal.SIGINT)
        assert interruption.asked()
    assert "Ctrl-C: ends when this step is taken and saved" in capfd.readouterr().err
    assert interruption.end().exit_code == 130


def test_of_several_processes_the_first_one_speaks(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with Interruption() as interruption:
        interruption.waits = True
        signal.raise_signal(signal.SIGINT)
        assert interruption.asked()
    assert capfd.readouterr().err == ""


def test_the_second_one_ends_at_once() -> None:
    script = """
import signal
from ansnet.training.interruption import Interruption
with Interruption() as interruption:
    interruption.waits = True
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    print("went on")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 143
    assert ended.stdout == ""


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interruption.asked()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_signals_are_left_alone() -> None:
    before, within = signal.getsignal(signal.SIGINT), list[object]()

    def enter() -> None:
        with Interruption():
            within.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert within == [before]
