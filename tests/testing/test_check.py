"""`ansnet.testing`: the report, the pytest decorator, the command line and the table in the docs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ansnet.commands.check import main
from ansnet.modules import BatchNorm2d
from ansnet.testing import (
    CAPABILITIES,
    CapabilityTest,
    Result,
    Sample,
    check,
    parametrize_capabilities,
)
from ansnet.testing.capabilities import NEED_REFERENCE
from ansnet.testing.operations import OPERATIONS, random

QUICK = sorted(CAPABILITIES.keys() - {"no memory growth"})
TABLE = Path(__file__).parents[2] / "docs" / "capabilities.md"

numbers = Sample(random(3, 4))
swish_samples = [numbers]


def swish(x: Tensor) -> Tensor:
    return x * x.sigmoid()


def broken_swish(x: Tensor) -> Tensor:
    return x * x.sigmoid().detach()


def test_any_function_with_and_without_a_reference() -> None:
    with_reference = check(swish, torch.nn.functional.silu, [numbers], only=QUICK, backend="eager")
    assert with_reference.passed, str(with_reference)
    without = check(swish, None, [numbers], only=QUICK, backend="eager")
    assert without.passed, str(without)
    untried = {row.capability for row in without.rows if row.detail == "no reference was given"}
    assert untried == NEED_REFERENCE


def test_a_module_is_tried_with_its_parameters() -> None:
    images = Sample(random(2, 3, 2, 2))
    only = ["forward", "gradients", "gradcheck", "vmap", "pickle and copy"]
    report = check(BatchNorm2d(3).double(), nn.BatchNorm2d(3).double(), [images], only=only)
    assert report.passed, str(report)
    wrong = check(BatchNorm2d(3).double(), nn.BatchNorm2d(3, eps=0.1).double(), [images], only=only)
    assert [row.capability for row in wrong.failures] == ["forward", "gradients"]


@pytest.mark.parametrize(
    ("function", "sample"),
    [
        (nn.Linear(4, 2, bias=False).double(), Sample(random(3, 4))),
        (lambda tensors: tensors[0].sin(), Sample([random(3, 4)])),
        (lambda none, tensors: tensors[0] * tensors[1], Sample((), [random(3, 4), random(4)])),
    ],
    ids=["module of one parameter", "list of one tensor", "as many tensors as arguments"],
)
def test_containers_stay_containers(function: Any, sample: Sample) -> None:
    report = check(function, None, [sample], only=["gradcheck", "compile"], backend="eager")
    assert report.passed, str(report)


def test_the_report_names_the_first_sample_that_fails() -> None:
    zeros = Sample(torch.zeros(2, dtype=torch.float64, requires_grad=True))
    report = check(
        broken_swish,
        torch.nn.functional.silu,
        [zeros, numbers],
        only=["forward", "gradients", "channels last", "devices"],
        not_applicable={"devices": "not tried here"},
    )
    assert report["gradients"].result is Result.FAIL
    assert "sample 1 (float64[3, 4]): gradient of argument 0" in report["gradients"].detail
    assert re.search(r"at index \(\d, \d\)", report["gradients"].detail)
    first, *rest, last = str(report).splitlines()
    (devices,) = (line for line in rest if line.startswith("  devices"))
    assert first == "broken_swish"
    assert devices.split(maxsplit=2) == ["devices", "n/a", "not tried here"]
    assert last == "1 passed, 1 failed, 2 not applicable"


def test_no_more_is_asked_than_the_reference_can_do() -> None:
    def refuses_vmap(x: Tensor) -> Tensor:
        return x * x.sum().item()

    row = check(refuses_vmap, refuses_vmap, [numbers], only=["vmap"])["vmap"]
    assert row.result is Result.NOT_APPLICABLE
    assert "the reference cannot either: RuntimeError: vmap" in row.detail
    assert check(refuses_vmap, None, [numbers], only=["vmap"])["vmap"].result is Result.FAIL


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("swish", None, [numbers]), {}, TypeError, "must be callable, got 'swish'"),
        ((swish, None, []), {}, ValueError, "no samples were given"),
        ((swish, None, [torch.ones(2)]), {}, TypeError, "a Sample or a tuple of arguments, got Tensor"),
        ((swish, None, [numbers]), {"only": ["speed"]}, ValueError, "'speed': choose from forward,"),
        ((swish, None, [numbers]), {"not_applicable": {"speed": ""}}, ValueError, "'speed'"),
        ((nn.ReLU(), torch.relu, [numbers]), {}, TypeError, "reference of a module must be a module"),
    ],
)
def test_wrong_arguments_are_named(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        check(*arguments, **options)


@parametrize_capabilities(
    swish, torch.nn.functional.silu, [numbers], only=["forward", "gradcheck", "channels last"]
)
def test_as_a_decorator(capability: CapabilityTest) -> None:
    if capability.capability == "channels last":
        with pytest.raises(pytest.skip.Exception, match="no input has four axes"):
            capability()
    else:
        capability()


def test_a_failing_capability_fails_its_test() -> None:
    mark = parametrize_capabilities(broken_swish, None, [numbers], only=["gradcheck"])
    (capability,) = mark.args[1][0].values
    with pytest.raises(AssertionError, match=r"gradcheck: sample 0 .*: GradcheckError"):
        capability()


def test_the_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    here = __name__
    assert main(["ansnet.functional:relu", "--only", "forward", "--only", "gradcheck"]) == 0
    assert "2 passed, 0 failed, 0 not applicable" in capfd.readouterr().out
    silu = ["--reference", "torch.nn.functional:silu"]
    assert main([f"{here}:swish", *silu, "--only", "gradients"]) == 0
    broken = [f"{here}:broken_swish", "--samples", f"{here}:swish_samples"]
    assert main([*broken, "--only", "gradcheck"]) == 1
    told = " ".join(capfd.readouterr().out.split())
    assert "gradcheck FAIL wrong numbers: " in told
    assert "gradcheck: sample 0 (float64[3, 4]): GradcheckError" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["swish"], "got 'swish', expected package.module:name or"),
        (["no_such_package.ops:swish"], "there is no module 'no_such_package'"),
        (["ansnet.functional:swish"], "module 'ansnet.functional' has no 'swish'"),
        (["torch:sin"], "there are no samples to try sin(…) on: give the arguments by --sample"),
        (["ansnet.functional:relu", "--only", "speed"], "--only: unknown capability 'speed'"),
        ([], "the following arguments are required: FUNCTION"),
    ],
)
def test_a_mistake_on_the_command_line_is_answered_in_one_line(
    arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert message in line


def test_python_m_ansnet_runs() -> None:
    command = [sys.executable, "-m", "ansnet", "check", "ansnet.functional:relu", "--only", "forward"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1].split() == ["forward", "pass"]


def test_the_table_in_the_docs_is_whole() -> None:
    """Each operation has its cell for each capability, none says no, and each reason is a known one."""
    table, _, rest = TABLE.read_text().partition("## Notes")
    notes, _, meanings = rest.partition("## What each asks")
    head, _, *rows = [line.strip("| ").split(" | ") for line in table.splitlines() if "|" in line]
    assert head == ["capability", *(f"`{name}`" for name in OPERATIONS)]
    assert [row[0] for row in rows] == list(CAPABILITIES)
    for _, *cells in rows:
        assert len(cells) == len(OPERATIONS)
        assert all(
            re.fullmatch(r"yes( \[\d+\]\(#notes\))?|— \[\d+\]\(#notes\)", cell) for cell in cells
        )
    known = "no input has four axes|no accelerator on this machine|.*: the reference cannot either: "
    reasons = re.findall(r"^\d+\. (.*)$", notes, re.MULTILINE)
    assert reasons
    assert all(re.match(known, reason) for reason in reasons)
    assert all(f"| [{capability}](capabilities/" in meanings for capability in CAPABILITIES)
