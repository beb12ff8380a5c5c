"""`benchmarks/odd_input.py`: a small part of its inputs, each of which runs or gets one line."""

from __future__ import annotations

from pathlib import Path

import pytest

import odd_input
from odd_cases import Case


def test_odd_input_runs_or_is_refused_by_one_line() -> None:
    answers = list(odd_input.try_all(seed=1, number=240))
    assert [each for each in answers if each.fault] == []
    assert len({each.case.kind for each in answers}) == 6
    assert sum(each.code == 2 for each in answers) > 100
    assert any(each.code == 0 for each in answers)


@pytest.mark.parametrize(
    ("code", "errors", "fault"),
    [
        (0, "", None),
        (1, "", None),
        (2, "python -m ansnet train: error: --lr: got x\n", None),
        (2, "python -m ansnet train: error: --lr: got x\nand more\n", "2 lines"),
        (2, "", "0 lines"),
        (2, "error: --lr\n", "no line that begins with the command"),
        (2, "python -m ansnet train: error: wrong\n", "names none of"),
        (2, "python -m ansnet train: error: --lr " + "x" * 1000, "a line of 10"),
        (0, "Traceback (most recent call last):\n", "a traceback"),
        (None, "", "exit code None"),
    ],
)
def test_what_counts_as_a_fault(code: int | None, errors: str, fault: str | None) -> None:
    found = odd_input.what_is_wrong(Case("command line", "train", ()), code, errors, ["--lr=x"])
    assert (found is None) == (fault is None)
    assert fault is None or fault in str(found)


def test_the_same_seed_draws_the_same(tmp_path: Path) -> None:
    with odd_input.prepared(tmp_path):
        first, again = (list(odd_input.all_cases(tmp_path, 3, 60)) for _ in range(2))
        other = list(odd_input.all_cases(tmp_path, 4, 60))
    without_files = [(each.kind, each.words) for each in first]
    assert without_files == [(each.kind, each.words) for each in again]
    assert without_files != [(each.kind, each.words) for each in other]
