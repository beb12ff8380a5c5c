"""Rows in a process of their own: those in which it dies, or that never end, and all others."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ansnet.functional.kernel import finds_compiler
from ansnet.testing import Result, Sample, check, parametrize_capabilities
from ansnet.testing.isolation import RaisedElsewhere, can_fork
from ansnet.testing.report import Row

pytestmark = pytest.mark.skipif(not can_fork(), reason="needs os.fork, and no accelerator")

x = torch.tensor([[0.3, -1.2], [0.7, 0.1]], dtype=torch.float64, requires_grad=True)
ROWS = ("forward", "gradients", "gradients of stride 0", "backward twice")


class Cosine(torch.autograd.Function):
    """Right, but that what ``broken`` does is done where one number is the whole upstream gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, broken: Any) -> Tensor:
        ctx.save_for_backward(x)
        ctx.broken = broken
        return x.sin()

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None]:
        if grad_z.stride() == (0, 0):
            ctx.broken()
        (x,) = ctx.saved_tensors
        return grad_z * x.cos(), None


def report_of(broken: Any, **options: Any) -> Any:
    function = lambda x: Cosine.apply(x, broken)  # noqa: E731 (as a user may write it)
    return check(function, torch.sin, [Sample(x)], only=ROWS, isolated=True, **options)


def results(report: Any) -> list[str]:
    return [row.result.value for row in report.rows]


def test_the_others_survive_a_row_in_which_the_process_dies(capfd: pytest.CaptureFixture[str]) -> None:
    report = report_of(lambda: ctypes.string_at(0))
    assert results(report) == ["pass", "pass", "FAIL", "pass"]
    detail = report["gradients of stride 0"].detail
    assert detail.startswith("the process died of SIGSEGV (Segmentation fault)")
    assert "Fatal Python error" not in capfd.readouterr().err


def test_an_exit_is_no_success() -> None:
    report = report_of(lambda: os._exit(0))
    assert results(report) == ["pass", "pass", "FAIL", "pass"]
    assert "the process ended with exit code 0" in report["gradients of stride 0"].detail


def test_what_died_only_behind_others_is_tried_again_alone(tmp_path: Path) -> None:
    there = tmp_path / "there"

    def once() -> None:
        if not there.exists():
            there.touch()
            os._exit(3)

    assert results(report_of(once)) == ["pass", "pass", "pass", "pass"]
    assert there.exists()


def test_a_row_that_does_not_end_is_ended() -> None:
    report = report_of(lambda: time.sleep(600), timeout=3)
    assert results(report) == ["pass", "pass", "FAIL", "pass"]
    assert report["gradients of stride 0"].detail == "not done after 3 s"


def test_rows_are_told_as_they_come() -> None:
    seen: list[Row] = []
    report = report_of(lambda: None, progress=seen.append)
    assert seen == list(report.rows)
    assert [row.capability for row in seen] == list(ROWS)


def test_an_error_brings_its_traceback_along() -> None:
    def refuses() -> None:
        raise LookupError("no such gradient")

    row = report_of(refuses)["gradients of stride 0"]
    assert row.detail.endswith("LookupError: no such gradient")
    assert isinstance(row.error, RaisedElsewhere)
    assert "in refuses" in str(row.error)


def test_what_is_printed_arrives_once(capfd: pytest.CaptureFixture[str]) -> None:
    print("before", end=" ")

    def talks() -> None:
        print("said", end=" ")
        print("noted", file=sys.stderr, end=" ")

    report_of(talks)
    out, err = capfd.readouterr()
    assert out.split().count("before") == 1
    assert "said" in out
    assert "noted" in err


def test_a_function_without_tensors_is_refused_from_there_too() -> None:
    with pytest.raises(ValueError, match="returned 3, in which there is no tensor"):
        check(lambda x: 3, torch.sin, [Sample(x)], isolated=True)


def test_a_pytest_row_survives_too() -> None:
    def dies(x: Tensor) -> Tensor:
        os._exit(1)

    mark = parametrize_capabilities(dies, torch.sin, [Sample(x)], only=["forward"], isolated=True)
    (capability,) = mark.args[1][0].values
    with pytest.raises(AssertionError, match="forward: the process ended with exit code 1"):
        capability()


def test_in_this_process_where_it_is_asked_for() -> None:
    here: list[int] = []

    def function(x: Tensor) -> Tensor:
        here.append(os.getpid())
        return x.sin()

    assert check(function, torch.sin, [Sample(x)], only=["forward"], isolated=False).passed
    assert set(here) == {os.getpid()}
    here.clear()
    row = check(function, torch.sin, [Sample(x)], only=["forward"], isolated=True)["forward"]
    assert row.result is Result.PASS
    assert not here


def said_by(program: str) -> str:
    """The last line that a new process prints."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


COMPILED_FIRST = """
import torch
from ansnet.testing import check

torch.compile(torch.sin)(torch.ones(2))
x = torch.ones(2, dtype=torch.float64, requires_grad=True)
torch.autograd.grad(x.sum(), x)
only = ["forward", "gradients", "compile"]
report = check(torch.sin, torch.sin, [(x,)], only=only, isolated=True, timeout=100)
print(report.counts)
"""


@pytest.mark.skipif(not finds_compiler(), reason="needs a C++ compiler")
def test_a_process_that_compiled_before_it_differentiated_can_be_forked() -> None:
    """And code is generated in the fork, for which the compiler's threads are not there."""
    assert said_by(COMPILED_FIRST) == "3 passed, 0 failed, 0 not applicable"


def test_it_can_be_imported_where_nothing_is_recorded() -> None:
    program = "import torch\nwith torch.inference_mode():\n    import ansnet.testing\nprint('done')"
    assert said_by(program) == "done"


REFUSED = """
from ansnet.testing.battery import check_apart

only = ["forward", "gradients"]
counts = check(torch.sin, torch.sin, [(x,)], only=only).counts
try:
    check(torch.sin, torch.sin, [(x,)], only=only, isolated=True)
except RuntimeError as error:
    apart = check_apart(torch.sin, torch.sin, [(x,)], only=only).counts
    print(counts, apart, error, sep=" | ")
"""
DEEP = """
from torch.utils.checkpoint import checkpoint
import torch
from ansnet.testing import check

deep = torch.sin
for _ in range(100):  # backward passes within backward passes, for which autograd starts threads
    deep = (lambda inner: lambda x: checkpoint(inner, x, use_reentrant=True))(deep)
x = torch.ones(2, dtype=torch.float64, requires_grad=True)
deep(x).sum().backward()
"""
ASYNCHRONOUS = """
import torch
from ansnet.testing import check

x = torch.ones(2, dtype=torch.float64, requires_grad=True)
source = "def sine(x):\\n    return torch.jit.wait(torch.jit.fork(torch.sin, x))\\n"
torch.jit.CompilationUnit(source).sine(x)
"""


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (DEEP, "Unable to handle autograd's threading"),
        (ASYNCHRONOUS, "torch.jit.fork has started threads"),
    ],
)
def test_where_threads_are_at_work_rows_run_here_and_isolation_is_refused(
    program: str, reason: str
) -> None:
    counts, apart, refusal = said_by(program + REFUSED).split(" | ")
    assert counts == apart == "2 passed, 0 failed, 0 not applicable"
    assert refusal.startswith(reason)
    assert refusal.endswith("say isolated=False")


def test_where_several_rows_in_succession_do_not_end_the_others_are_not_tried() -> None:
    def waits(x: Tensor) -> Tensor:
        time.sleep(600)
        return x

    report = check(waits, torch.sin, [Sample(x)], only=ROWS, isolated=True, timeout=1)
    assert results(report) == ["FAIL"] * 4
    *details, last = (row.detail for row in report.rows)
    assert details == ["not done after 1 s"] * 3
    assert last.startswith("not tried, since 3 rows before it were not done in time; if the function")


ALONE = """
import sys, warnings
for name in {absent}:
    sys.modules[name] = None
import torch
from ansnet.testing import Sample, check
x = torch.ones(2, dtype=torch.float64, requires_grad=True)
only = ["forward", "gradcheck", "compile"]
report = check(torch.sin, torch.sin, [Sample(x)], only=only, backend="eager")
print(report.counts)
"""


def test_it_needs_torch_alone() -> None:
    absent = ["torchvision", "lightning", "torchmetrics", "tensorboard", "jsonargparse", "tqdm", "PIL"]
    absent += ["matplotlib", "safetensors", "yaml", "pytest"]
    assert said_by(ALONE.format(absent=absent)) == "3 passed, 0 failed, 0 not applicable"


def test_what_a_row_has_started_ends_with_it(tmp_path: Path) -> None:
    started = tmp_path / "started"

    def start() -> None:
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        started.write_text(str(process.pid))
        time.sleep(600)

    report = report_of(start, timeout=2)
    assert "not done after 2 s" in report["gradients of stride 0"].detail
    process = int(started.read_text())
    until = time.monotonic() + 10
    while is_alive(process) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(process)


def is_alive(process: int) -> bool:
    """Whether it runs; one that has ended, and for which nobody has waited, does not."""
    answer = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()[:1] not in ("", "Z")
