"""``benchmarks/recorded.py``, and the accuracies that ansnet brings: those of the records."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml

import recorded
from ansnet.models import list_models
from ansnet.models.recorded import read_recorded
from ansnet.training.comparison import percent, read_record
from tests.training.test_comparison import write_run

RESULTS = Path(__file__).parents[2] / "docs/results.md"


def test_the_packages_table_is_that_of_the_records() -> None:
    written = io.StringIO()
    recorded.write(written)
    assert recorded.TABLE.read_text(encoding="utf-8") == written.getvalue(), "run the script again"


def test_the_package_is_written_to_only_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "recorded.csv"
    monkeypatch.setattr(recorded, "TABLE", table)
    recorded.main([])
    assert list(tmp_path.iterdir()) == []
    recorded.main(["--record"])
    assert capsys.readouterr().out == 2 * table.read_text(encoding="utf-8")


@pytest.mark.parametrize("model", list_models())
def test_the_results_page_says_the_same(model: str) -> None:
    results = RESULTS.read_text(encoding="utf-8")
    found = read_recorded(model)
    assert found
    accuracies = [percent(each.accuracy, each.deviation) for each in found]
    assert all(f"**{accuracy} %**" in results for accuracy in accuracies)


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        ({}, True),
        ({"seed": 5, "torch": "9"}, True),
        ({"test_time_shift": True}, True),
        ({"flip": "alternating"}, False),
        ({"lr": 0.2}, False),
        ({"ops": "torch"}, False),
        ({"dataset": "shapes10"}, False),
        ({"model": "C(4), L(10)"}, False),
    ],
)
def test_what_counts(tmp_path: Path, change: dict[str, object], counts: bool) -> None:
    settings = yaml.safe_load((recorded.REFERENCE / "vgg7bn/seed_0/hparams.yaml").read_text())
    record = read_record(write_run(tmp_path / "run", [0.1, 0.5], **{**settings, **change}))
    assert recorded.by_the_recipe(record) is counts
