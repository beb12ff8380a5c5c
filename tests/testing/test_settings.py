"""Every argument of `ansnet.testing.check` that is wrong is answered in one line, before any call."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from inspect import signature
from math import inf, nan
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor, nn

from ansnet.testing import CAPABILITIES, Result, Sample, check, parametrize_capabilities
from ansnet.testing.battery import check_apart
from ansnet.testing.capabilities import NEED_REFERENCE

x = torch.tensor([[0.3, -1.2], [0.7, 0.1]], dtype=torch.float64, requires_grad=True)


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return 2 * grad_z


def never_called(x: Tensor) -> NoReturn:
    pytest.fail("it was called, although an argument was wrong")


def swish(x: Tensor) -> Tensor:
    return x * x.sigmoid()


REASONS = {
    "vmap": "must be a dict of capabilities and reasons, as {'vmap': 'it draws numbers'}, got 'vmap'",
    "list": "must be a dict of capabilities and reasons",
    "no text": "takes the reason for 'forward' as a text, got None",
    "empty": "has no reason for 'forward': write why",
    "blank": "has no reason for 'forward': write why",
    "no name": "takes the names of capabilities, as 'gradcheck', got 3",
    "unknown": "has the unknown capability 'vmp': did you mean 'vmap'?",
}
GIVEN_REASONS: dict[str, Any] = {
    "vmap": "vmap",
    "list": ["vmap"],
    "no text": {"forward": None},
    "empty": {"forward": ""},
    "blank": {"forward": " "},
    "no name": {3: "a"},
    "unknown": {"vmp": "a"},
}
A_LIST = "samples must be a list of samples, each a Sample, a tuple of arguments, or a line"
A_PAIR = "layer must be a module and a sample of its inputs, as layer=(module, Sample(x)), got "
A_BACKEND = "backend must be the name of a backend of torch.compile, as 'aot_eager', or a function"
NEEDS_ONE = "cannot be without a reference; give it by reference=, or choose other capabilities"
SECONDS = "timeout must be a number of seconds"
WRONG: list[tuple[str, Any, type[Exception], str]] = [
    ("function", None, TypeError, "function must be callable, got None: give the function itself"),
    ("function", x, TypeError, "function must be callable, got float64[2, 2]: give"),
    ("function", Double, TypeError, "function is the class Double, expected its apply: Double.apply"),
    ("function", Sample, TypeError, "function is the class Sample, expected an instance of it"),
    ("reference", ["f64[3]"], TypeError, "got ['f64[3]']: give a function, or None"),
    ("reference", False, TypeError, "reference must be callable, got False"),
    ("derivative", 0, TypeError, "derivative must be callable, got 0: give a function, or None"),
    ("derivative", nn.ReLU, TypeError, "derivative is the class ReLU, expected an instance of it"),
    ("samples", 3, TypeError, f"{A_LIST}, as 'f64[3, 4]', got 3"),
    ("samples", None, TypeError, A_LIST),
    ("samples", {"a": (x,)}, TypeError, "got {a: [float64[2, 2]]}"),
    ("samples", x, TypeError, "got float64[2, 2]: write [(x,)] for f(x)"),
    ("samples", (x, x), TypeError, "the arguments of one: write [(x, w)] for f(x, w)"),
    ("samples", lambda: [(x,)], TypeError, "call it, if it makes them"),
    (
        "samples",
        [(x,), x],
        TypeError,
        "sample 1: a sample is a Sample or a tuple of arguments, got Tens",
    ),
    ("samples", [[x]], TypeError, "got list; write the arguments in round brackets"),
    ("samples", [{"x": x}], TypeError, "got dict; write Sample(**it) for arguments by name"),
    ("samples", [None], TypeError, "got NoneType; or a line, as 'f64[3, 4], stride=2'"),
    ("samples", (), ValueError, "no samples were given"),
    ("samples", ["f64[3]", "f64[3"], ValueError, "sample 1: 'f64[3', character 6"),
    ("samples", ["f64[0]", "f64[0, 3]"], ValueError, "are all empty, so that nothing could be wrong"),
    (
        "samples",
        [(x.detach().to("meta").requires_grad_(),)],
        ValueError,
        "the device meta, which holds",
    ),
    ("layer", nn.ReLU(), TypeError, f"{A_PAIR}ReLU()"),
    ("layer", (), TypeError, f"{A_PAIR}()"),
    ("layer", [nn.ReLU(), Sample(x)], TypeError, A_PAIR),
    ("layer", (nn.ReLU(), x), TypeError, "layer=(module, sample): a sample is a Sample or a tuple of"),
    ("layer", (swish, Sample(x)), TypeError, "for the module, expected an instance of torch.nn.Module"),
    (
        "layer",
        (nn.ReLU, Sample(x)),
        TypeError,
        "for the module, expected an instance of torch.nn.Modul",
    ),
    ("layer", (nn.ReLU(), "f64["), ValueError, "layer=(module, sample): 'f64[', character 5"),
    (
        "layer",
        (nn.ReLU(), Sample(x, x)),
        TypeError,
        "does not fit the module ReLU(input): too many pos",
    ),
    *[
        (what, given, ValueError if kind in ("empty", "blank", "unknown") else TypeError, told)
        for what in ("not_applicable", "expected_failures")
        for kind, told in ((kind, f"{what} {told}") for kind, told in REASONS.items())
        for given in [GIVEN_REASONS[kind]]
    ],
    ("backend", None, TypeError, f"{A_BACKEND} that is one, got None"),
    ("backend", 3, TypeError, A_BACKEND),
    ("backend", ["eager"], TypeError, A_BACKEND),
    (
        "backend",
        "aot_eagr",
        ValueError,
        "backend 'aot_eagr' is unknown to torch.compile: did you mean 'a",
    ),
    (
        "backend",
        "xyzzy",
        ValueError,
        "backend 'xyzzy' is unknown to torch.compile: it knows cudagraphs,",
    ),
    ("backend", "", ValueError, "backend '' is unknown to torch.compile"),
    (
        "only",
        [],
        ValueError,
        "only is empty, so that nothing would be tried: name capabilities, or lea",
    ),
    ("only", 3, TypeError, "only must be a capability's name or a list of them"),
    (
        "only",
        [["forward"]],
        TypeError,
        "takes the names of capabilities, as 'gradcheck', got ['forward']",
    ),
    ("only", [None], TypeError, "takes the names of capabilities, as 'gradcheck', got None"),
    ("only", ["gradchek"], ValueError, "unknown capability 'gradchek': did you mean 'gradcheck'?"),
    ("only", "Forward_Mode", ValueError, "'Forward_Mode': did you mean 'forward mode'?"),
    ("only", "forward,vmap", ValueError, "write several as a list, as ['forward', 'vmap']"),
    ("only", "forward", ValueError, f"nothing could be tried: forward {NEEDS_ONE}"),
    ("only", sorted(NEED_REFERENCE), ValueError, "accuracy, forward, gradients, non finite va"),
    *[
        ("atol", wrong, TypeError, "atol must be a number, as 1e-6, or None")
        for wrong in ("1", True, x)
    ],
    *[
        (what, wrong, ValueError, f"{what} must be a finite number, 0 or above, got {wrong}"[:60])
        for what in ("atol", "rtol")
        for wrong in (-1, nan, inf, 10**400)
    ],
    *[
        ("seed", wrong, TypeError, "seed must be a whole number, as 0, got ")
        for wrong in (None, "a", 1.5, True)
    ],
    *[
        ("seed", wrong, ValueError, "seed must be from -2**63 to 2**63 - 1, got ")
        for wrong in (2**70, 2**63, -(2**63) - 1)
    ],
    ("dtypes", 5, TypeError, "dtypes must be a dtype or a list of them, as [torch.float64], got 5"),
    ("dtypes", [3], TypeError, "dtypes takes torch.float64 and the like, got 3"),
    ("dtypes", [], ValueError, "dtypes is empty: name those in which"),
    ("dtypes", "flaot64", ValueError, "unknown dtype 'flaot64': did you mean 'float64'?"),
    ("dtypes", ["xyzzy"], ValueError, "unknown dtype 'xyzzy': known are f64, "),
    ("dtypes", ["f64", "i64"], ValueError, "dtypes takes dtypes of floating point, got torch.int64"),
    ("devices", 3, TypeError, "devices must be the name of a device or a list of them"),
    ("devices", [0], TypeError, "devices takes names, as 'cuda' or 'cuda:1', got 0"),
    ("devices", [None], TypeError, "devices takes names, as 'cuda' or 'cuda:1', got None"),
    ("devices", [], ValueError, "devices is empty: name those on which"),
    (
        "devices",
        ["cpu", "meta"],
        ValueError,
        "devices='meta' holds no numbers to compare: leave it out",
    ),
    ("devices", torch.device("meta"), ValueError, "devices='meta' holds no numbers to compare"),
    ("devices", "qpu", ValueError, "devices='qpu' is not on this machine: Expected one of cpu"),
    (
        "isolated",
        "yes",
        TypeError,
        "isolated must be True, False, or None for where that can be, got 'y",
    ),
    ("isolated", 1, TypeError, "isolated must be True, False, or None"),
    *[("timeout", wrong, TypeError, f"{SECONDS}, got {wrong!r}") for wrong in (None, "5", True)],
    *[
        ("timeout", wrong, ValueError, f"{SECONDS} above 0, 1000000 at most, got {wrong}")
        for wrong in (nan, inf, 0, -1, 10_000_000)
    ],
    (
        "progress",
        3,
        TypeError,
        "progress must be a function that is called with each row, or None, got",
    ),
    ("progress", 0, TypeError, "progress must be a function that is called with each row"),
]
# without the addresses that functions are printed with, which differ from process to process
NAMES = [
    re.sub(r" at 0x\w+", "", f"{name}={given!r}")[:40].partition("\n")[0] for name, given, _, _ in WRONG
]


def options(name: str, given: Any) -> dict[str, Any]:
    """Arguments of `check`, of which one is wrong."""
    return {"function": never_called, "reference": None, "samples": [(x,)], name: given}


@pytest.mark.parametrize(("name", "given", "error", "message"), WRONG, ids=NAMES)
def test_a_wrong_argument_is_answered_in_one_line(
    name: str, given: Any, error: type[Exception], message: str
) -> None:
    entries: list[Callable[..., Any]] = [check, check_apart, parametrize_capabilities]
    for entry in entries:
        if entry is parametrize_capabilities and name == "progress":
            continue
        with pytest.raises(error) as raised:
            entry(**options(name, given))
        told = str(raised.value)
        assert message in told
        assert "\n" not in told
        assert len(told) < 1200


def test_all_arguments_are_among_them() -> None:
    assert {name for name, *_ in WRONG} == set(signature(check).parameters)


def test_an_instance_of_a_function_is_none() -> None:
    with pytest.warns(DeprecationWarning, match="should not be instantiated"):
        instance = Double()
    with pytest.raises(TypeError, match=r"function is an instance of Double, expected its apply: Doub"):
        check(instance, None, [(x,)])


def test_a_derivative_of_a_module_is_a_module() -> None:
    with pytest.raises(TypeError, match="the derivative of a module must be a module, got <built-in"):
        check(nn.ReLU(), None, [(x,)], derivative=torch.relu)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"progress": print}, "takes no progress=: it takes derivative, layer, not_applicable"),
        ({"ony": "vmap"}, "takes no ony=: did you mean 'only'?"),
        ({"backnd": "eager"}, "takes no backnd=: did you mean 'backend'?"),
    ],
)
def test_tests_are_not_made_with_options_that_there_are_not(given: dict[str, Any], told: str) -> None:
    with pytest.raises(TypeError) as raised:
        parametrize_capabilities(never_called, None, [(x,)], **given)
    assert str(raised.value).startswith(f"parametrize_capabilities {told}")


@pytest.mark.parametrize(
    "given",
    [
        {"only": "gradcheck"},
        {"only": ["gradcheck", "gradcheck"]},
        {"only": (name for name in ["gradcheck"])},
        {"only": {"gradcheck": 1}},
        {"samples": "f64[3]"},
        {"samples": Sample(x)},
        {"samples": ("f64[3]", "f64[0]")},
        {"samples": iter([(x,)])},
        {"seed": -(2**63)},
        {"seed": 2**63 - 1},
        {"atol": 1e-6, "rtol": 0},
        {"timeout": 1_000_000},
        {"dtypes": "float64"},
        {"dtypes": ["torch.float64", "f64", torch.float64]},
        {"devices": "cpu"},
        {"devices": [torch.device("cpu"), "cpu"]},
        {"layer": (nn.SiLU(), "f64[3]")},
        {"layer": (nn.SiLU(), (x,))},
        {"backend": "xyzzy"},  # which is not asked for
        {"not_applicable": None, "expected_failures": {}},
        {"not_applicable": {"compile": "a reason"}, "backend": "xyzzy"},
        {"isolated": False},
    ],
    ids=lambda given: f"{given}"[:40],
)
def test_what_is_right_is_tried_once(given: dict[str, Any]) -> None:
    arguments = {**options("function", swish), "only": ["gradcheck"], **given}
    (row,) = check(**arguments).rows
    assert (row.capability, row.result) == ("gradcheck", Result.PASS)


def test_where_there_are_no_forks_nothing_is_tried_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    arguments = {**options("function", swish), "only": "gradcheck"}
    with pytest.raises(RuntimeError, match=r"no forks on this system; say isolated=False, or nothing"):
        check(**arguments, isolated=True)
    assert check(**arguments).passed
    assert check_apart(**arguments).passed


def test_none_is_all() -> None:
    mark = parametrize_capabilities(never_called, None, [(x,)], only=None)
    assert [each.id for each in mark.args[1]] == list(CAPABILITIES)


def calls(graph: Any, _: Any, counted: list[int]) -> Any:
    counted.append(1)
    return graph


def test_a_backend_may_be_a_function() -> None:
    counted: list[int] = []
    backend = partial(calls, counted=counted)
    (row,) = check(swish, None, [(x,)], only="compile", backend=backend, isolated=False).rows
    assert row.result is Result.PASS
    assert counted


def rounded(x: Tensor) -> Tensor:
    return x + (x.round() - x).detach()


def test_what_needs_a_reference_is_tried_with_a_stated_derivative_too() -> None:
    report = check(rounded, None, [(x,)], derivative=lambda x: x, only=["forward", "gradients"])
    assert report.passed
    assert {row.result for row in report.rows} == {Result.PASS}


def test_what_has_its_excuse_needs_no_reference() -> None:
    excuse = {"forward": "there is no reference yet"}
    assert check(swish, None, [(x,)], only="forward", not_applicable=excuse).passed


def test_a_module_without_parts_is_a_reference() -> None:
    identity = check(nn.Identity(), nn.Sequential(), [(x,)], only="forward")
    assert identity["forward"].result is Result.PASS
    other = check(nn.ReLU(), nn.Sequential(), [(x,)], only="forward")
    assert other["forward"].result is Result.FAIL
