"""`benchmarks/in_the_wild.py`: what is told of a report that is not as it was judged, and the page."""

from __future__ import annotations

from dataclasses import replace

import torch

import in_the_wild
from ansnet.testing import Report, Result, Sample
from ansnet.testing.report import Row
from in_the_wild import distribution, last_runs, page, rows_of, unexpected
from wild.entry import Judgement, Wild, by_design, defect

x = torch.ones(2, dtype=torch.float64, requires_grad=True)


def entry(**judged: Judgement) -> Wild:
    return Wild("package.module:Square", torch.square, [Sample(x)], judged=judged)


def report(**results: Result) -> Report:
    return Report("Square", tuple(Row(name, result, "why") for name, result in results.items()))


def test_a_row_that_fails_unjudged_is_told_and_so_is_one_that_does_not_fail_any_more() -> None:
    rows = report(vmap=Result.FAIL, export=Result.PASS, meta=Result.FAIL)
    judged = entry(export=defect("It raises."), meta=by_design("It is meant so."))
    assert unexpected(judged, rows) == ["vmap: not judged: why", "export: judged, but does not fail"]
    assert unexpected(entry(), report(vmap=Result.PASS)) == []
    follows = report(gradients=Result.FAIL, dtypes=Result.FAIL)
    assert unexpected(entry(gradients=defect("It is wrong.")), follows) == []
    assert unexpected(entry(), follows)[1] == "dtypes: not judged: why"


def test_one_row_for_each_judgement_and_a_page_of_them() -> None:
    package = in_the_wild.packages()[0]
    raises = defect("It raises | an error.")
    rows = rows_of(
        package,
        entry(vmap=raises, jacobian=raises, meta=by_design("It is meant so.")),
        report(vmap=Result.FAIL, jacobian=Result.FAIL, meta=Result.FAIL, export=Result.PASS),
        1.5,
    )
    assert [(row.verdict, row.capabilities) for row in rows] == [
        ("defect", "vmap, jacobian"),
        ("by design", "meta"),
    ]
    (sound,) = rows_of(package, entry(), report(vmap=Result.PASS, meta=Result.NOT_APPLICABLE), 2.0)
    assert (sound.verdict, sound.passed, sound.failed, sound.not_applicable) == (None, 1, 0, 1)
    text = page([*rows, replace(sound, function="package.module:Cube")])
    assert "**2 public `torch.autograd.Function`s of 1 packages**" in text
    assert "\n1 of the Functions pass every row" in text
    assert "Of 0 all that fails asks\nfor" in text  # meta is no transformation
    assert "0, of\n0 packages, have a defect besides" in text
    name, _, number = distribution(package).partition("==")
    assert (
        f"| **{name} {number}** | `Square` | 1, 3, 0 | *defect*: It raises \\| an error. (vmap, "
        in text
    )
    assert "| `Cube` | 1, 0, 1 | nothing |" in text


def test_the_last_run_of_a_function_counts() -> None:
    package = in_the_wild.packages()[0]
    failing = report(vmap=Result.FAIL, meta=Result.FAIL)
    judged = entry(vmap=defect("It raises."), meta=by_design("It is meant so."))
    before = rows_of(package, judged, failing, 1.5)
    after = rows_of(package, judged, failing, 1.25)
    assert len(before) == len(after) == 2
    assert last_runs([*before, *after]) == {"package.module:Square": after}


def test_each_package_is_pinned_once() -> None:
    pins = [distribution(name) for name in in_the_wild.packages()]
    assert len(pins) == len(set(pins))
    assert all(pin.count("==") == 1 for pin in pins)
