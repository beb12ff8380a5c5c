"""What `ansnet.testing.check` refuses to say anything of, and what is known to fail."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ansnet.testing import Result, Sample, check, parametrize_capabilities

x = torch.tensor([[0.3, -1.2], [0.7, 0.1]], dtype=torch.float64, requires_grad=True)


class Square(torch.autograd.Function):
    """x², with seven times the upstream gradient as its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.square()

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return 7 * grad_z


class Record:
    """Tensors where no tree of Python's containers has them."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __repr__(self) -> str:
        return "Record(…)"


@pytest.mark.parametrize(
    ("function", "reference", "error", "message"),
    [
        (
            Square,
            torch.square,
            TypeError,
            "function is the class Square, expected its apply: Square",
        ),
        (torch.square, Square, TypeError, "reference is the class Square, expected its apply"),
        (nn.ReLU, torch.relu, TypeError, "function is the class ReLU, expected an instance of it"),
        (
            lambda x: None,
            torch.square,
            ValueError,
            "the function returned None, in which there is no t",
        ),
        (
            lambda x: Record(x),
            torch.square,
            ValueError,
            "returned Record(…), in which there is no",
        ),
        (
            lambda x: {"a": [1, 2]},
            torch.square,
            ValueError,
            "there is no tensor: return a tensor",
        ),
    ],
)
@pytest.mark.parametrize("isolated", [True, False])
def test_what_cannot_be_tried_is_refused(
    function: Any, reference: Any, error: type[Exception], message: str, isolated: bool
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        check(function, reference, [Sample(x)], only=["forward"], isolated=isolated)


def test_samples_of_which_nothing_requires_grad_are_refused() -> None:
    constant = Sample(x.detach())
    with pytest.raises(ValueError, match=r"no tensor of the samples requires grad.*requires_grad=True"):
        check(torch.square, torch.square, [constant, constant])
    assert check(torch.square, torch.square, [constant, Sample(x)], only=["gradients"]).passed


def test_nor_may_a_module_have_nothing_to_differentiate_by() -> None:
    with pytest.raises(ValueError, match="no tensor of the samples requires grad"):
        check(nn.ReLU(), nn.ReLU(), [Sample(x.detach())])
    assert check(nn.ReLU(), nn.ReLU(), [Sample(x)], only=["gradients"]).passed


def test_a_row_in_two_lists_is_refused() -> None:
    with pytest.raises(ValueError, match="'vmap' is both in not_applicable and in expected_failures"):
        check(torch.square, None, [(x,)], not_applicable={"vmap": "a"}, expected_failures={"vmap": "b"})


def test_expected_failures_are_strict() -> None:
    expected = {"gradients": "seven", "forward": "no", "channels last": "no"}
    report = check(
        Square.apply,
        torch.square,
        [Sample(x)],
        only=["forward", "gradients", "channels last", "backward twice"],
        expected_failures=expected,
    )
    results = {row.capability: row.result for row in report.rows}
    assert results == {
        "forward": Result.FAIL,
        "gradients": Result.EXPECTED_FAILURE,
        "channels last": Result.FAIL,
        "backward twice": Result.PASS,
    }
    assert report["gradients"].detail.startswith("seven: sample 0 (float64[2, 2]): gradient of argu")
    assert report["forward"].detail == (
        "expected to fail (no), but it passes: take it out of expected_failures"
    )
    assert "it was not tried (no input has four axes)" in report["channels last"].detail
    assert str(report).endswith("1 passed, 2 failed, 0 not applicable, 1 expected to fail")


def test_an_expected_failure_is_an_xfail_of_pytest() -> None:
    mark = parametrize_capabilities(
        Square.apply,
        torch.square,
        [Sample(x)],
        only=["gradients"],
        expected_failures={"gradients": "seven"},
    )
    (capability,) = mark.args[1][0].values
    with pytest.raises(pytest.xfail.Exception, match="seven: sample 0"):
        capability()


def refuses(*_: Any) -> Tensor:
    raise RuntimeError("not today")


def test_a_report_that_says_nothing_of_the_function_does_not_pass() -> None:
    report = check(refuses, refuses, [Sample(x)], only=["forward", "gradients", "channels last"])
    assert not report.failures
    assert not report.passed
    assert [row.capability for row in report.untried] == ["forward", "gradients"]
    told = "does not pass: forward, gradients could not be tried; do the samples fit the reference?"
    assert told in str(report)
    excused = check(
        refuses,
        refuses,
        [Sample(x)],
        only=["forward", "channels last"],
        not_applicable={"forward": "not today"},
    )
    assert excused.passed


def test_nor_does_its_test() -> None:
    mark = parametrize_capabilities(refuses, refuses, [Sample(x)], only=["forward"])
    (capability,) = mark.args[1][0].values
    with pytest.raises(AssertionError, match=r"forward could not be tried: .*not today"):
        capability()


def test_tolerances_are_the_users() -> None:
    def rough(x: Tensor) -> Tensor:
        return x.square() * (1 + 1e-7)

    def result(**options: float) -> Result:
        return check(rough, torch.square, [Sample(x)], only=["forward"], **options)["forward"].result

    assert result() is Result.FAIL
    assert result(rtol=1e-6) is Result.PASS
    assert result(atol=1e-6) is Result.PASS
    assert result(rtol=1e-8) is Result.FAIL


@pytest.mark.parametrize("what", ["function", "reference", "derivative"])
def test_samples_that_do_not_fit_are_refused_before_anything_is_tried(what: str) -> None:
    def one(x: Tensor) -> Tensor:
        return x

    def two(x: Tensor, y: Tensor) -> Tensor:
        return x + y

    given: dict[str, Any] = {"function": two, "reference": two, "derivative": two, what: one}
    message = rf"sample 0 \(.*\) does not fit {what} one\(x\): too many positional"
    with pytest.raises(TypeError, match=message):
        check(samples=[Sample(x, x)], only=["gradcheck"], **given)


def test_a_stated_derivative_that_raises_passes_no_check() -> None:
    report = check(torch.sign, None, [Sample(x)], derivative=lambda x: x @ x[0, 0], only=["gradcheck"])
    assert report["gradcheck"].result is Result.NOT_APPLICABLE
    assert not report.passed
    assert "does not pass: gradcheck could not be tried" in str(report)


class Scaled(nn.Module):
    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(shape, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


class Weighted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (Weighted(), r"parameter weight of \[3\] is not in the function, which has scale"),
        (Scaled((1,)), r"parameter scale of \[1\] is of \[3\] in the function"),
    ],
)
def test_modules_that_are_compared_have_the_same_parameters(other: nn.Module, told: str) -> None:
    for options in ({"reference": other}, {"reference": None, "derivative": other}):
        with pytest.raises(ValueError, match=told):
            check(Scaled((3,)), samples=["f64[2, 3]"], **options)
