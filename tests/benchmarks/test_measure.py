"""`benchmarks/measure.py`: its arithmetic, and what it counts as memory."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import pytest
import torch

from ansnet.models.pretrained import FOLDER
from measure import (
    OWN,
    RESULTS,
    Contender,
    Measurement,
    fastest,
    geometric_mean,
    measure,
    memory_ratio,
    peak_memory,
    quartiles,
    size_of,
    time_ratio,
)

CPU = torch.device("cpu")
BYTES = 4 * 1000


def measurement(*seconds: float, memory: int | None = None) -> Measurement:
    return Measurement("someone", "contiguous", seconds, memory)


def test_quartiles() -> None:
    assert quartiles([3, 1, 2, 5, 4]) == (2, 3, 4)
    assert quartiles([1, 2]) == (1.25, 1.5, 1.75)
    assert quartiles([7]) == (7, 7, 7)


def test_time_ratio_is_that_of_the_rounds_and_to_the_fastest() -> None:
    slow, fast = measurement(9, 9, 9), measurement(1, 2, 4)
    assert fastest([slow, fast]) is fast
    # The medians' ratio would be 6 / 2 = 3; the rounds' are 8, 2 and 1.5.
    assert time_ratio(measurement(8, 4, 6), [slow, fast]) == (1.75, 2, 5)


def test_memory_ratio_is_to_the_fastest_and_unknown_beside_nothing() -> None:
    little, fast = measurement(2, memory=5), measurement(1, memory=10)
    assert memory_ratio(measurement(1, memory=20), [little, fast]) == 2
    assert memory_ratio(measurement(1, memory=20), [measurement(1, memory=0)]) is None
    assert memory_ratio(measurement(1), [measurement(1)]) is None


def test_geometric_mean() -> None:
    assert geometric_mean([0.5, 2, 8]) == pytest.approx(2)


def test_peak_memory_is_what_lives_at_one_time() -> None:
    x = torch.randn(1000)

    def both_live() -> torch.Tensor:
        y = x + x
        return y * y

    def one_after_the_other() -> None:
        for _ in range(3):
            x + x

    assert peak_memory(both_live, CPU) == 2 * BYTES
    assert peak_memory(one_after_the_other, CPU) == BYTES
    assert peak_memory(lambda: x.view(10, 100), CPU) == 0


def test_peak_memory_counts_a_number_as_the_tensor_that_it_becomes() -> None:
    x = torch.randn(1000)
    assert 2 * BYTES <= peak_memory(lambda: (x * 2) + 1, CPU) <= 2 * BYTES + 16


def test_peak_memory_of_a_backward_pass() -> None:
    x = torch.randn(1000, requires_grad=True)
    grad_z = torch.ones(1000)

    def call() -> object:  # z, its gradient by x, and what exp saves, which is z
        return torch.autograd.grad(x.exp(), x, grad_z)

    assert peak_memory(call, CPU) == 2 * BYTES


@pytest.mark.cuda
def test_peak_memory_on_cuda() -> None:
    x = torch.randn(128 * 1024, device="cuda")  # CUDA's allocator counts in blocks of 512 bytes
    assert peak_memory(lambda: (x * 2) + 1, torch.device("cuda")) == 2 * x.nbytes


def test_contenders_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("measure.SHORTEST_SAMPLE", 0)
    order: list[str] = []
    contenders = [
        Contender("a", "contiguous", lambda: order.append("a"), held=5),
        Contender("b", "contiguous", lambda: order.append("b")),
    ]
    ours, native = measure(contenders, rounds=3, device=CPU)
    warm_up, rounds, memory = "aaaa bbbb", "ab ba ab", "ab"
    assert order == [*f"{warm_up}{rounds}{memory}".replace(" ", "")]
    assert (ours.provider, native.provider) == ("a", "b")
    assert len(ours.seconds) == len(native.seconds) == 3
    assert (ours.memory, native.memory) == (5, 0)


def test_size_of_tensors() -> None:
    assert size_of([torch.empty(2, 3), torch.empty(4, dtype=torch.int64)]) == 2 * 3 * 4 + 4 * 8


class Parsed(Exception):
    """Raised in place of what a script would do with its options."""


@pytest.mark.parametrize(
    "script",
    [
        "ablation",
        "commits",
        "compositions",
        "control",
        "epoch",
        "exports",
        "operations",
        "shipped_weights",
        "time_to_accuracy",
        "training_step",
    ],
)
def test_only_when_told_to_a_script_writes_to_what_the_repository_keeps(
    script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsers = []

    def parse(parser: argparse.ArgumentParser, *_: object) -> None:
        parsers.append(parser)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    with pytest.raises(Parsed):
        import_module(script).main()
    monkeypatch.undo()
    (parser,) = parsers
    place = "folder" if script == "shipped_weights" else "results"
    assert parser.get_default(place) == OWN
    assert not OWN.is_absolute()
    words = {"shipped_weights": ["a", "b"], "commits": ["HEAD"]}.get(script, [])
    told = parser.parse_args([*words, "--record"])
    assert getattr(told, place) == (FOLDER if script == "shipped_weights" else RESULTS)
    elsewhere = parser.parse_args([*words, f"--{place}", "there"])
    assert getattr(elsewhere, place) == Path("there")
