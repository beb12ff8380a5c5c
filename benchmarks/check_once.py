"""One check by `ansnet.testing`, and its processor time: of `check_time.py`, in a process of its own.

Nothing else is imported, since that is timed too.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ansnet.testing import Sample, check


def processor_time() -> float:
    """Seconds of this process and of those that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def times(
    function: Callable[..., Any], reference: Callable[..., Any], samples: Sequence[Sample]
) -> tuple[float, float]:
    """The processor time until the first report, and that of a second."""
    check(function, reference, samples, backend="aot_eager")
    cold = processor_time()
    check(function, reference, samples, backend="aot_eager")
    return cold, processor_time() - cold


def subject(name: str) -> tuple[Callable[..., Any], Callable[..., Any], Sequence[Sample]]:
    """An operation of ansnet with its first sample, or a Function ``package/module:Function``."""
    package, slash, function = name.partition("/")
    if not slash:
        operations = importlib.import_module("ansnet.testing.operations").OPERATIONS
        operation = operations[name]
        return operation.function, operation.reference, operation.samples()[:1]
    entries = importlib.import_module(f"wild.{package}").functions()
    [entry] = [entry for entry in entries if entry.name == function]
    return entry.function, entry.reference, entry.samples


if __name__ == "__main__":
    print(json.dumps(times(*subject(sys.argv[1]))))
