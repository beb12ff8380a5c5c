"""`benchmarks/exports.py`: exports without further packages, and what is said of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import exports
from exporters import EXPORTERS, Exporter, count
from measure import RESULTS
from results import read


def test_the_operators_of_a_file_are_those_that_compute() -> None:
    assert count(["Conv", "Constant", "Relu", "Conv"]) == {"Conv": 2, "Relu": 1}


def test_what_a_file_has_more_or_fewer() -> None:
    ours, twins = Counter(Relu=1, Slice=20), Counter(Relu=2, Conv=3, MaxPool=1)
    assert exports.operator_difference(ours, twins) == "Slice +20, Conv −3, Relu −1, MaxPool −1"
    assert exports.operator_difference(twins, twins) is None


def test_what_an_exporter_raises_is_a_result(tmp_path: Path) -> None:
    def export(*_: object) -> None:
        raise NotImplementedError("\n  no such operator\nat line 3")

    how = Exporter(export)  # type: ignore[arg-type]
    told = exports.attempt(how, nn.ReLU(), torch.zeros(1), tmp_path / "new")
    assert told == "NotImplementedError: no such operator"


def test_a_row_for_each_size_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "BATCHES", (1, 3))
    rows = exports.compare("torch.export", "vgg7", rounds=1)
    assert [(row.batch_size, row.example_size) for row in rows] == [(1, 16), (3, 16)]
    for row in rows:
        assert row.error is None
        assert row.difference is not None
        assert row.difference < 1e-4
    table = exports.table(rows)
    assert "| torch.export | torch " in table
    assert "| 0.0e+00 | 19, the same | " in table
    failed = [replace(row, error="ValueError: a|b") for row in rows]
    assert "| vgg7 | ValueError: a\\|b |  |  |  |" in exports.table([*rows, *failed])


def test_what_is_recorded_is_right_and_on_its_page() -> None:
    rows = read(RESULTS / "checks" / "exports.csv", exports.Row)
    assert {row.exporter for row in rows} <= set(EXPORTERS)
    docs = Path(exports.__file__).parents[1] / "docs" / "exports.md"
    assert docs.read_text(encoding="utf-8") == exports.page(rows) + "\n"
    for row in exports.newest_of(rows):
        assert row.error is None
        assert row.different_operators is None or row.exporter == "pnnx"
        assert row.difference is None or row.difference < 1e-4
