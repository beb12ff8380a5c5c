"""`benchmarks/results.py` and `benchmarks/summary.py`: the CSV, its picture and the tables."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import check_time
import commits
import exports
import in_the_wild
import kills
import long_run
import spinning
from control import Difference
from measure import RESULTS, Measurement
from memory_needed import Memory
from odd_input import Tried
from results import Row, Work, columns, means, ours, place, read, write
from runs import Run
from summary import summary

CPU = torch.device("cpu")
MIB = 2**20


@pytest.fixture
def rows() -> list[Row]:
    """Ours twice as fast as one and as fast as another, in a quarter of that one's memory."""
    measurements = [
        Measurement("ansnet", "channels_last", [0.002, 0.001, 0.004], 2 * MIB),
        Measurement("torch", "contiguous", [0.004, 0.002, 0.008], 4 * MIB),
        Measurement("torch", "channels_last", [0.002, 0.001, 0.004], 8 * MIB),
    ]
    return Work("training_step", "vgg7", "batch 8", "step", "float32").rows(measurements, CPU)


def test_ratios_stand_in_our_row(rows: list[Row]) -> None:
    first, *others = rows
    assert ours(rows) == [first]
    assert (first.lower_ms, first.median_ms, first.upper_ms) == (1.5, 2, 3)
    assert (first.time_ratio_lower, first.time_ratio, first.time_ratio_upper) == (1, 1, 1)
    assert first.against == "torch, channels_last"
    assert (first.memory_mib, first.memory_ratio) == (2, 0.25)
    assert all(other.time_ratio is other.memory_ratio is other.against is None for other in others)
    assert means(rows) == (1, 0.25)


def test_csv_holds_every_column_and_reads_back(rows: list[Row], tmp_path: Path) -> None:
    file = tmp_path / "results" / "training_step-cpu.csv"
    write(rows, file)
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    assert header.split(",") == columns(Row)
    assert len(lines) == 3
    assert read(file, Row) == rows
    assert file.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


# explored-cuda.csv and views.csv were written by no script that is kept, and are never added to;
# compositions.csv and tools.csv are no measurements, and have their own columns
OTHERS = ("explored-cuda", "views", "compositions", "tools")
RECORDED = sorted(file for file in RESULTS.rglob("*.csv") if file.stem not in OTHERS)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_what_is_recorded_has_the_columns_that_rows_are_added_under(file: Path) -> None:
    benchmark = file.stem.split("-")[0]
    kinds = {
        "ablation": Run,
        "check_time": check_time.Row,
        "commits": commits.Row,
        "control": Difference,
        "exports": exports.Row,
        "in_the_wild": in_the_wild.Row,
        "long_run": long_run.Row,
        "memory_needed": Memory,
        "odd_input": Tried,
        "kills": kills.Row,
        "spinning": spinning.Row,
        "time_to_accuracy": Run,
    }
    kind = kinds.get(benchmark, Row)
    assert file.read_text(encoding="utf-8").splitlines()[0].split(",") == columns(kind)
    assert read(file, kind)


def test_every_row_says_where_it_was_measured(rows: list[Row]) -> None:
    for row in rows:
        assert row.torch == torch.__version__
        assert row.threads == torch.get_num_threads()
        assert all((row.device, row.cpu_capability, row.python, row.date))


def test_files_are_named_by_benchmark_machine_and_precision() -> None:
    assert place(Path("r"), "operations", CPU, "float32") == Path("r/operations-cpu.csv")
    assert place(Path("r"), "epoch", CPU, "bfloat16") == Path("r/epoch-cpu-bfloat16.csv")


def test_summary_of_steps(rows: list[Row], tmp_path: Path) -> None:
    write(rows, tmp_path / "training_step-cpu.csv")
    assert summary(tmp_path).splitlines()[-1] == (
        "| vgg7 | step, batch 8 | 2.0 ms (ansnet, channels_last) | 2.0 ms (torch, channels_last) "
        "| 1.00 (1.00–1.00) | 0.25 |"
    )


def test_summary_of_operations(tmp_path: Path) -> None:
    rows: list[Row] = []
    for shape, memory_format, ratio in (("a", "contiguous", 1), ("b", "contiguous", 4)):
        measurements = [
            Measurement("ansnet", memory_format, [ratio * 0.001], ratio * MIB),
            Measurement("torch", memory_format, [0.001], MIB),
        ]
        rows += Work("operations", "relu", shape, "forward", "float32").rows(measurements, CPU)
    write(rows, tmp_path / "operations-cpu.csv")
    assert summary(tmp_path).splitlines()[-4:] == [
        "| operation | pass | time, contiguous | memory, contiguous |",
        "| --- | --- | --- | --- |",
        "| relu | forward | 2.00 (1.00–4.00) | 2.00 |",
        "| **geometric mean** | forward | 2.00 (1.00–4.00) | 2.00 |",
    ]
