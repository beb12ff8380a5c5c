"""What is said of the options of `ansnet.testing.check`, said of the flags that stand for them."""

from __future__ import annotations

import re

OPTIONS = (
    "reference|derivative|samples|not_applicable|expected_failures|backend|only|atol|rtol|seed|"
    "dtypes|devices|timeout"
)
# An option, where it is one beyond doubt: at the beginning, or with nothing behind its =.
OPTION = re.compile(rf"(?<![\w-])({OPTIONS})=(?=[\s,:;])|^({OPTIONS})\b")
FLAGS = {"expected_failures": "--expected-failure"}  # that of another name than the option
CALLS = {
    r"check\(…, timeout=(\S+)\)": r"--timeout \1",
    r'check\(…, not_applicable=\{"(.+)": "(.+)"\}\)': r'--not-applicable "\1=\2"',
    r"check\(…, derivative=lambda \w+: \w+\)": "--derivative package.module:name",
    r"\btake it out of expected_failures": "leave out --expected-failure",
    r"\bin not_applicable and in expected_failures": "in --not-applicable and in --expected-failure",
}


def as_flags(text: str) -> str:
    """``check(…, timeout=20)`` as ``--timeout 20``, and ``reference=`` as ``--reference``."""
    for call, flag in CALLS.items():
        text = re.sub(call, flag, text)
    return OPTION.sub(lambda found: flag_of(found[1] or found[2]), text)


def flag_of(option: str) -> str:
    """The flag that stands for an option."""
    return FLAGS.get(option, f"--{option.replace('_', '-')}")
