"""A report for other programs: JSON, and JUnit's XML, which services of continuous integration read."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import torch

from ansnet import __version__
from ansnet.testing.report import Report, Result, Row, is_untried
from ansnet.testing.report import message as told_by

# what XML 1.0 cannot hold, not even escaped
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Timed:
    """A report, and how long its rows took.

    Attributes:
        name: the function as it was named.
        report: what came of the check.
        seconds: by capability.
    """

    name: str
    report: Report
    seconds: Mapping[str, float] = field(default_factory=dict)


def as_json(timed: Timed) -> dict[str, Any]:
    """What `json.dump` takes: ``passed``, ``counts`` by result, ``rows``, ``causes``; times in s."""
    rows = timed.report.rows
    return {
        "function": timed.name,
        "passed": timed.report.passed,
        "counts": {result.name.lower(): sum(row.result is result for row in rows) for result in Result},
        "untried": [row.capability for row in timed.report.untried],
        "rows": [
            {
                "capability": row.capability,
                "result": row.result.name.lower(),
                "detail": row.detail,
                "seconds": round(timed.seconds.get(row.capability, 0.0), 6),
            }
            for row in rows
        ],
        "causes": [
            {
                "severity": explanation.cause.severity.value,
                "cause": explanation.cause.sentence,
                "capabilities": explanation.capabilities,
                "mending": explanation.cause.mending.splitlines(),
                "mending_tried": explanation.cause.tried,
                "place": explanation.cause.place or None,
                "page": explanation.cause.page or None,
            }
            for explanation in timed.report.causes
        ],
        "versions": {
            "ansnet": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }


def junit(reports: Sequence[Timed]) -> str:
    """A test suite a function, a test case a capability.

    What is not applicable or expected to fail is skipped, with the reason; what is essential and could
    not be tried is a failure. The schema is that of Apache Ant's JUnit task, as most services take it.
    """
    suites = ElementTree.Element("testsuites", name="ansnet")
    totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    time = 0.0
    for timed in reports:
        suite = _suite(timed)
        suites.append(suite)
        for count in totals:
            totals[count] += int(suite.attrib[count])
        time += float(suite.attrib["time"])
    for count, number in totals.items():
        suites.set(count, str(number))
    suites.set("time", f"{time:.3f}")
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(suites, "unicode")}\n'


def _suite(timed: Timed) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_clean(timed.name))
    failures = skipped = 0
    for row in timed.report.rows:
        seconds = timed.seconds.get(row.capability, 0.0)
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=_clean(timed.name),
            name=row.capability,
            time=f"{seconds:.3f}",
        )
        if row.result is Result.FAIL or is_untried(row, timed.report.essential):
            failures += 1
            _add_failure(case, row)
        elif row.result is not Result.PASS:
            skipped += 1
            kind = "expected to fail: " if row.result is Result.EXPECTED_FAILURE else ""
            ElementTree.SubElement(case, "skipped", message=_clean(f"{kind}{row.detail}"))
        elif row.detail:
            ElementTree.SubElement(case, "system-out").text = _clean(row.detail)
    for name, number in (
        ("tests", len(timed.report.rows)),
        ("failures", failures),
        ("errors", 0),
        ("skipped", skipped),
    ):
        suite.set(name, str(number))
    suite.set("time", f"{sum(timed.seconds.values()):.3f}")
    return suite


def _add_failure(case: ElementTree.Element, row: Row) -> None:
    untried = row.result is not Result.FAIL
    message = f"could not be tried: {row.detail}" if untried else row.detail
    kind = "untried" if untried else "failure"
    failure = ElementTree.SubElement(case, "failure", message=_clean(message), type=kind)
    lines = [message] if untried else told_by(row)
    failure.text = _clean("\n".join([*lines, "", str(row.error)] if row.error else lines))


def _clean(text: str) -> str:
    return FORBIDDEN.sub("�", text)
