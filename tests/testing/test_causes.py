"""Causes: told together, the worst first, with what mends them; what is not known is not told."""

from __future__ import annotations

import inspect
import os
import pickle
import re
import signal
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ansnet.testing import Result, check, parametrize_capabilities
from ansnet.testing.causes import Cause, Severity, cause_of_detail, explanations
from ansnet.testing.diagnosis import OR_THE_SAMPLE
from ansnet.testing.report import Row
from tests.testing import test_recognition
from tests.testing.test_hidden_faults import SavedWhereNeeded, two, with_a_twin, xy_squared
from tests.testing.test_recognition import (
    Cube,
    KeptOnCtx,
    NoVmap,
    OldStyle,
    StraightThrough,
    cube,
    numbers,
)

HERE = "tests/testing/test_causes.py"
PLANTED_IN = test_recognition.HERE


def test_what_is_saved_only_where_it_is_asked_for_is_saved_in_any_case() -> None:
    function = with_a_twin(SavedWhereNeeded, xy_squared)
    report = check(function, xy_squared, [two["sample"]], only=["gradient through vmap"])
    (explanation,) = report.causes
    assert explanation.cause.key.startswith("saved where needed ")
    assert explanation.cause.mending == "ctx.save_for_backward(x, y)"
    assert explanation.cause.tried


def test_a_surrogate_passes_with_the_derivative_that_is_meant() -> None:
    options = {"only": ["forward", "gradients"], "derivative": lambda x: x}
    assert check(StraightThrough.apply, torch.round, [numbers], **options).passed


class HoldsALambda(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rule = lambda x: x**3

    def forward(self, x: Tensor) -> Tensor:
        return self.rule(x)


class HoldsAFunction(HoldsALambda):
    def __init__(self) -> None:
        super().__init__()
        self.rule = cube


def test_what_cannot_be_pickled_is_named_with_the_module() -> None:
    (explanation,) = check(HoldsALambda(), None, [numbers], only=["pickle and copy"]).causes
    assert "<lambda>" in explanation.cause.sentence
    assert explanation.cause.place.startswith(f"{HERE}:")
    assert check(HoldsAFunction(), None, [numbers], only=["pickle and copy"]).passed


def test_five_rows_of_one_cause_are_told_once() -> None:
    rows = ["jacobian", "hessian", "vmap", "per sample gradients", "gradient through vmap", "forward"]
    report = check(OldStyle.apply, cube, [numbers], only=rows)
    (explanation,) = report.causes
    assert explanation.capabilities == rows[:-1]
    assert explanation.cause.place == f"{PLANTED_IN}:{line_of(OldStyle.forward)}"
    text = str(report)
    assert text.count("has no setup_context") == 1
    assert len(re.findall(r"FAIL  cause 1$", text, re.MULTILINE)) == 5
    assert f"rows   {', '.join(rows[:-1])}" in " ".join(text.split()).replace("rows ", "rows   ")
    assert "jacobian: sample 0 (float64[3, 2]): RuntimeError" in text
    assert max(map(len, text.splitlines())) <= 100
    assert text.splitlines()[-1] == "1 passed, 5 failed, 0 not applicable"


def line_of(function: Any) -> int:
    lines, first = inspect.getsourcelines(function)
    return first + next(index for index, line in enumerate(lines) if "def " in line)


def test_the_worst_is_told_first() -> None:
    class Faulty(KeptOnCtx):
        @staticmethod
        def backward(ctx: Any, grad_z: Tensor) -> Any:
            return 2 * ctx.x**2 * grad_z

    report = check(
        Faulty.apply,
        cube,
        [numbers],
        only=["saved tensors freed", "vmap", "gradients", "forward"],
        expected_failures={"forward": "as it was"},
        backend="eager",
    )
    assert [explanation.cause.severity for explanation in report.causes] == list(Severity)


def test_what_mends_one_row_and_what_mends_another_are_told_together() -> None:
    class NeitherRuleNorTangent(Cube):
        generate_vmap_rule = False

    report = check(NeitherRuleNorTangent.apply, cube, [numbers], only=["vmap", "hessian"])
    (explanation,) = report.causes
    assert explanation.cause.mending.splitlines() == [
        "generate_vmap_rule = True  # in the body of NeitherRuleNorTangent",
        "def jvp(ctx, *tangents): …  # and forward mode needs this",
    ]


def test_causes_come_from_the_other_process_and_can_be_pickled() -> None:
    row = check(NoVmap.apply, cube, [numbers], only=["vmap"], isolated=True)["vmap"]
    assert row.cause is not None
    assert row.cause.tried
    assert pickle.loads(pickle.dumps(row.cause)) == row.cause


def dies(x: Tensor) -> Tensor:
    os.kill(os.getpid(), signal.SIGKILL)
    return x


def test_a_row_in_which_the_process_died_has_a_cause() -> None:
    (explanation,) = check(dies, None, [numbers], only=["deterministic", "vmap"], isolated=True).causes
    assert explanation.capabilities == ["deterministic", "vmap"]
    assert explanation.cause.severity is Severity.RAISES
    assert "died of SIGKILL" in explanation.cause.sentence
    assert explanation.cause.mending == ""


def test_a_row_that_took_too_long_has_a_cause() -> None:
    row = Row("vmap", Result.FAIL, "not done after 2.5 s")
    (explanation,) = explanations([row])
    assert explanation.cause.sentence == "It takes longer than the 2.5 s that a row may take."
    assert explanation.cause.mending == "check(…, timeout=5)  # or smaller samples"


class DiesWhenMended(Cube):
    """In the row it raises; with the mending on trial, the process ends."""

    generate_vmap_rule = False

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        if DiesWhenMended.generate_vmap_rule:
            os.kill(os.getpid(), signal.SIGKILL)
        return x**3


def test_a_trial_in_which_the_process_dies_takes_no_row_with_it() -> None:
    row = check(DiesWhenMended.apply, cube, [numbers], only=["vmap"], isolated=True)["vmap"]
    assert "does not have vmap support" in row.detail
    assert row.cause is not None
    assert not row.cause.tried


@pytest.mark.parametrize(
    ("capability", "detail", "severity", "sentence"),
    [
        (
            "forward",
            "sample 0 (float64[2]): output: Tensor-likes are not close! Mismatched elements: 1 / 2 "
            "(50.0%) Greatest absolute difference: 0.43357545 at index (0,) (up to 1e-10 allowed)",
            Severity.WRONG,
            "Output differs by up to 0.434 from what it should be.",
        ),
        (
            "gradcheck",
            "sample 1 (float64[2], (3, 4)): GradcheckError: Jacobian mismatch for output 0 with "
            "respect to input 2",
            Severity.WRONG,
            "The derivative of output 0 by input 2 is not the numerical one.",
        ),
        (
            "vmap",
            "sample 0 (float64[2]): ZeroDivisionError: division by zero",
            Severity.RAISES,
            "ZeroDivisionError: division by zero.",
        ),
        (
            "no memory growth",
            "sample 0 (float64[2]): 900 objects more after 300 calls",
            Severity.NEEDLESS,
            "900 objects more after 300 calls.",
        ),
        (
            "channels last",
            "sample 0 (float64[2]): output is not in channels-last memory",
            Severity.NEEDLESS,
            "Output is not in channels-last memory.",
        ),
        (
            "non finite values",
            "sample 0 (float64[2]): nan in the first element of x: output: Tensor-likes are not close! "
            "Greatest absolute difference: nan at index (0,)",
            Severity.WRONG,
            "nan in the first element of x: output differs from what it should be.",
        ),
    ],
)
def test_of_what_is_not_known_the_message_is_told_and_no_more(
    capability: str, detail: str, severity: Severity, sentence: str
) -> None:
    cause = cause_of_detail(capability, detail)
    assert (cause.severity, cause.sentence, cause.mending) == (severity, sentence, "")


def unknown_failure(x: Tensor) -> Tensor:
    raise KeyError("no such table")


def test_an_unknown_error_of_a_call_has_its_line_and_may_be_the_samples_fault() -> None:
    report = check(unknown_failure, None, [numbers], only=["deterministic", "vmap", "gradcheck"])
    (explanation,) = report.causes
    assert len(explanation.rows) == 3
    cause = explanation.cause
    assert cause == Cause(
        cause.key,
        "KeyError: 'no such table'.",
        Severity.RAISES,
        OR_THE_SAMPLE,
        f"{HERE}:{line_of(unknown_failure) + 1}",
        "docs/capabilities/deterministic.md",
    )


def test_a_failing_test_says_the_cause_and_how_to_mend_it() -> None:
    mark = parametrize_capabilities(NoVmap.apply, cube, [numbers], only=["vmap"])
    (capability,) = mark.args[1][0].values
    with pytest.raises(AssertionError) as caught:
        capability()
    assert re.match(r"vmap: sample 0 .*does not have vmap support", str(caught.value))
    assert "raises: NoVmap has no rule for vmap." in str(caught.value)
    assert "generate_vmap_rule = True  # in the body of NoVmap" in str(caught.value)


def test_what_is_expected_to_fail_is_not_looked_into() -> None:
    report = check(
        NoVmap.apply, cube, [numbers], only=["vmap"], expected_failures={"vmap": "no rule yet"}
    )
    assert report.passed
    assert report.causes == []
    assert report["vmap"].cause is None
