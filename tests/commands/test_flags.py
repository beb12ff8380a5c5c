"""Options of `ansnet.testing.check`, told as flags."""

from __future__ import annotations

import pytest

from ansnet.commands.check import make_parser
from ansnet.commands.flags import OPTIONS, as_flags, flag_of


def test_each_option_has_its_flag() -> None:
    flags = {flag for action in make_parser()._actions for flag in action.option_strings}
    assert {flag_of(option) for option in OPTIONS.split("|")} <= flags


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("check(…, timeout=2.5)  # or smaller samples", "--timeout 2.5  # or smaller samples"),
        (
            'check(…, not_applicable={"deterministic": "draws (a) number"})  # if so meant',
            '--not-applicable "deterministic=draws (a) number"  # if so meant',
        ),
        ("check(…, derivative=lambda x: x)  # if", "--derivative package.module:name  # if"),
        ("give it by reference=, or choose", "give it by --reference, or choose"),
        ("derivative= returned 3", "--derivative returned 3"),
        ("dtypes is empty: name", "--dtypes is empty: name"),
        ("not_applicable has no reason", "--not-applicable has no reason"),
        ("expected_failures has no reason", "--expected-failure has no reason"),
        ("passes: take it out of expected_failures", "passes: leave out --expected-failure"),
        (
            "'vmap' is both in not_applicable and in expected_failures",
            "'vmap' is both in --not-applicable and in --expected-failure",
        ),
        ("sample 0 (3) does not fit f(x, seed=3)", "sample 0 (3) does not fit f(x, seed=3)"),
        ("with requires_grad=True, only", "with requires_grad=True, only"),
        ("no samples were given", "no samples were given"),
    ],
)
def test_options_are_told_as_flags_and_nothing_else_is(text: str, told: str) -> None:
    assert as_flags(text) == told
