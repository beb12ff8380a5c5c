"""How everything here is measured.

Contenders do the same work and differ in who computes it. All are warmed up (which compiles what
is to be compiled) and then take turns in one process, round by round, so that whatever else slows
the machine down slows all of them down. A sample is the mean of as many calls as last
`SHORTEST_SAMPLE`, between two events of the device or two readings of the clock, with Python's
garbage collector off. What is reported are the median and the quartiles over the rounds; a ratio
is that of the rounds' own ratios, not of two medians.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch
from torch import Tensor

from ansnet.testing.conduct import collector_off
from ansnet.training.memory import keep_freed_memory

Call = Callable[[], object]

SHORTEST_SAMPLE = 0.02  # seconds
WARM_UP_CALLS = 3
RESULTS = Path(__file__).parent / "results"  # which are committed
OWN = Path("benchmark_results")


class Quartiles(NamedTuple):
    """The first quartile, the median and the third."""

    lower: float
    median: float
    upper: float


@dataclass(frozen=True)
class Contender:
    """Who computes the work, in which memory format, and a call that does it once.

    Attributes:
        held: bytes that live before the call and belong to it, as the weights to a training step.
    """

    provider: str
    memory_format: str
    call: Call
    held: int = 0


@dataclass(frozen=True)
class Measurement:
    """What a contender took: seconds a call in each round, and bytes at its peak if known."""

    provider: str
    memory_format: str
    seconds: Sequence[float]
    memory: int | None = None


def make_parser(description: str | None, rounds: int) -> argparse.ArgumentParser:
    """The options that the benchmarks have in common."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    there = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=("cpu", "cuda"), default=there, help=f"default {there}")
    parser.add_argument("--threads", type=int, help="of the CPU; torch's own number otherwise")
    parser.add_argument("--batch-size", type=int, default=128, help="images, default 128")
    parser.add_argument("--rounds", type=int, default=rounds, help=f"default {rounds}")
    add_results(parser)
    return parser


def add_results(parser: argparse.ArgumentParser) -> None:
    """Where a benchmark writes; to what the repository keeps only if it is told to."""
    parser.add_argument(
        "--results", type=Path, default=OWN, metavar="FOLDER", help=f"where files go, default {OWN}"
    )
    parser.add_argument(
        "--record",
        dest="results",
        action="store_const",
        const=RESULTS,
        help="the folder of the results that the repository keeps, and not that one",
    )


def check_there(parser: argparse.ArgumentParser, file: Path) -> None:
    """Refuse to show results that are not there."""
    if not file.exists():
        parser.error(f"{file} is not there; --record shows what the repository keeps")


def prepare(options: argparse.Namespace) -> torch.device:
    """Set the process up as the options say, the same for all contenders."""
    keep_freed_memory()  # as train.py does
    os.environ["KINETO_LOG_LEVEL"] = "99"  # the profiler has news for its authors only
    torch.manual_seed(0)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    return torch.device(options.device)


def measure(contenders: Sequence[Contender], rounds: int, device: torch.device) -> list[Measurement]:
    """Time and peak memory of each contender.

    Args:
        contenders: what takes turns.
        rounds: how many turns each has.
        device: what it runs on.

    Returns:
        A measurement for each contender, in order.
    """
    with collector_off():
        seconds = alternate([contender.call for contender in contenders], rounds, device)
        return [
            Measurement(
                contender.provider,
                contender.memory_format,
                its_seconds,
                contender.held + peak_memory(contender.call, device),
            )
            for contender, its_seconds in zip(contenders, seconds, strict=True)
        ]


def alternate(calls: Sequence[Call], rounds: int, device: torch.device) -> list[list[float]]:
    """Seconds that each call takes, round by round; each round begins with another call."""
    repetitions = [calibrate(call, device) for call in calls]
    seconds: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds):
        for place in range(len(calls)):
            index = (turn + place) % len(calls)
            seconds[index].append(time_call(calls[index], repetitions[index], device))
    return seconds


def calibrate(call: Call, device: torch.device) -> int:
    """Warm the call up, and find how often to repeat it for a sample that is long enough."""
    for _ in range(WARM_UP_CALLS):
        call()
    repetitions = 1
    while repetitions * time_call(call, repetitions, device) < SHORTEST_SAMPLE:
        repetitions *= 2
    return repetitions


def time_call(call: Call, repetitions: int, device: torch.device) -> float:
    """Seconds a call, the mean over the repetitions."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        for _ in range(repetitions):
            call()
        end.record()
        torch.cuda.synchronize()
        return float(start.elapsed_time(end)) / 1000 / repetitions
    begin = perf_counter()
    for _ in range(repetitions):
        call()
    return (perf_counter() - begin) / repetitions


def peak_memory(call: Call, device: torch.device) -> int:
    """Bytes that the call has allocated and not yet freed, at their most.

    On a CPU it is what PyTorch's allocator has given out, as its profiler saw it. What oneDNN
    allocates for itself goes past that allocator, and is not counted.
    """
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    cpu = torch.profiler.ProfilerActivity.CPU
    # of a single cycle all events are kept anyway; torch 2.11 warns that those of others were not
    with torch.profiler.profile(activities=[cpu], profile_memory=True, acc_events=True) as profile:
        call()
    events = profile.profiler.kineto_results.events()
    memory = [event for event in events if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(memory, key=lambda event: event.start_ns()):
        live += event.nbytes()  # negative where memory was freed
        peak = max(peak, live)
    return peak


def size_of(tensors: Sequence[Tensor]) -> int:
    """Bytes that the tensors take."""
    return sum(tensor.nbytes for tensor in tensors)


def quartiles(samples: Sequence[float]) -> Quartiles:
    """Quartiles of any number of samples, interpolated between them."""
    shares = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    return Quartiles(*torch.tensor(samples, dtype=torch.float64).quantile(shares).tolist())


def fastest(measurements: Sequence[Measurement]) -> Measurement:
    return min(measurements, key=lambda one: quartiles(one.seconds).median)


def time_ratio(ours: Measurement, natives: Sequence[Measurement]) -> Quartiles:
    """Our time divided by that of the fastest of the others, over the rounds."""
    pairs = zip(ours.seconds, fastest(natives).seconds, strict=True)
    return quartiles([our_time / native_time for our_time, native_time in pairs])


def memory_ratio(ours: Measurement, natives: Sequence[Measurement]) -> float | None:
    """Our memory divided by that of the fastest of the others; None where it is unknown or nothing."""
    other = fastest(natives).memory
    return ours.memory / other if ours.memory is not None and other else None


def geometric_mean(ratios: Sequence[float]) -> float:
    return exp(sum(map(log, ratios)) / len(ratios))
