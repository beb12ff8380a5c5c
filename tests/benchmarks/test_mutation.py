"""`benchmarks/mutation.py`: which changes are made, and which tests are run on them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("cosmic_ray", reason="needs Cosmic Ray: pip install -e '.[mutation]'")

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import WorkerOutcome, WorkResult

import mutation

SOURCE = '''\
"""A docstring with 1 + 1."""

class Function:
    @staticmethod
    def forward(x: int | None = 1) -> int | None:
        return x + 2
'''
CHANGES = [
    "def forward(x: int | None = 1) -> int | None:  →  def forward(x: int | None = 0) -> int | None:",
    "def forward(x: int | None = 1) -> int | None:  →  def forward(x: int | None = 2) -> int | None:",
    "return x + 2  →  return x + 1",
    "return x + 2  →  return x + 3",
    "return x + 2  →  return x - 2",
]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("ansnet", "functional", "sum.py")
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize(("sample", "count"), [(None, 5), (9, 5), (3, 3)])
def test_annotations_and_decorators_without_effect_are_not_changed(
    path: Path, sample: int | None, count: int
) -> None:
    chosen = []
    for attempt in range(2):
        with use_db(f"{attempt}.sqlite") as session:
            mutation.begin(session, [path], sample, seed=0)
            changes = []
            for item in sorted(session.pending_work_items, key=mutation.in_order):
                change = item.mutations[0]
                changed = mutate_code(SOURCE, get_operator(change.operator_name)(), change.occurrence)
                line = mutation.difference_of(SOURCE, changed)
                changes.append(line.replace("=  ", "= ").replace("+  ", "+ "))
            chosen.append(sorted(changes))
    assert len(chosen[0]) == count
    assert set(chosen[0]) <= set(CHANGES)
    assert chosen[0] == chosen[1]  # by the same seed


def test_the_results_are_counted_and_what_was_not_noticed_is_shown(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with use_db("session.sqlite") as session:
        mutation.begin(session, [path], None, 0)
        first, *others, _ = sorted(session.pending_work_items, key=mutation.in_order)
        for item in [first, *others]:
            outcome = "survived" if item is first else "killed"
            result = WorkResult(WorkerOutcome.NORMAL, "", outcome, "old  →  new")
            session.set_result(item.job_id, result)
        mutation.show(session)
    assert capsys.readouterr().out.splitlines() == [
        "ansnet/functional/sum.py:5  old  →  new",
        "functional: 4 changes, 3 noticed (75.0%), 1 not",
        "1 to be made",
    ]


def test_every_file_has_its_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mutation.ROOT)
    for package in mutation.PACKAGES:
        for path in Path("ansnet", package).glob("*.py"):
            for wide in (False, True):
                files = [word.removeprefix("--deselect=") for word in mutation.tests_of(path, wide)]
                assert files
                assert all(Path(file.partition("::")[0]).exists() for file in files)
