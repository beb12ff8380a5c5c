"""What a benchmark leaves: lines on the terminal, a CSV, and its picture."""

from __future__ import annotations

import csv
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from measure import Measurement, fastest, geometric_mean, memory_ratio, quartiles, time_ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MILLISECOND = 1e-3
MIB = 2**20

# Okabe and Ito's, told apart by colour-blind readers too; and markers, which need no colour
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
MARKERS = ("o", "s", "^", "D")


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Where, with what and when: the last columns of every CSV."""

    device: str
    threads: int
    cpu_capability: str
    python: str
    torch: str
    date: str


# a dataclass; its fields are str, int or float, or str or float or None
RowKind = TypeVar("RowKind", bound=Conditions)


@dataclass(frozen=True, kw_only=True)
class Row(Conditions):
    """A line of the CSV: one contender's figures, and in ours the ratios to the others'.

    Attributes:
        name: of the operation or the model.
        passes: forward, forward+backward, step or epoch.
        provider: ansnet or torch, and how it is used.
        against: the provider that the ratios are to: the fastest of the others.
        time_ratio: ansnet's time divided by that provider's.
        memory_ratio: ansnet's memory divided by that provider's.
    """

    benchmark: str
    name: str
    shape: str
    memory_format: str
    passes: str
    precision: str
    provider: str
    median_ms: float
    lower_ms: float
    upper_ms: float
    memory_mib: float | None
    against: str | None
    time_ratio: float | None
    time_ratio_lower: float | None
    time_ratio_upper: float | None
    memory_ratio: float | None
    rounds: int


@dataclass(frozen=True)
class Work:
    """What was measured, under the names of the CSV's columns."""

    benchmark: str
    name: str
    shape: str
    passes: str
    precision: str

    def rows(self, measurements: Sequence[Measurement], device: torch.device) -> list[Row]:
        """A row for each measurement, the first of which is ours."""
        ours, *natives = measurements
        against = fastest(natives)
        ratio = time_ratio(ours, natives)
        rows = []
        for measurement in measurements:
            is_ours = measurement is ours
            lower, median, upper = quartiles(measurement.seconds)
            rows.append(
                Row(
                    **asdict(self),
                    memory_format=measurement.memory_format,
                    provider=measurement.provider,
                    median_ms=median / MILLISECOND,
                    lower_ms=lower / MILLISECOND,
                    upper_ms=upper / MILLISECOND,
                    memory_mib=None if measurement.memory is None else measurement.memory / MIB,
                    against=f"{against.provider}, {against.memory_format}" if is_ours else None,
                    time_ratio=ratio.median if is_ours else None,
                    time_ratio_lower=ratio.lower if is_ours else None,
                    time_ratio_upper=ratio.upper if is_ours else None,
                    memory_ratio=memory_ratio(ours, natives) if is_ours else None,
                    rounds=len(measurement.seconds),
                    **conditions(device),
                )
            )
        return rows


def conditions(device: torch.device) -> dict[str, Any]:
    """The values of `Conditions`, here and now."""
    return {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "date": date.today().isoformat(),
    }


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    described = Path("/proc/cpuinfo")
    text = described.read_text(encoding="utf-8") if described.exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    return model[1] if model else platform.processor() or platform.machine()


def place(folder: Path, benchmark: str, device: torch.device, precision: str) -> Path:
    """The CSV of a benchmark on this machine, as ``operations-cpu.csv``."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    words = [benchmark, re.sub(r"\W+", "-", name.lower())]
    return folder / ("-".join(words if precision == "float32" else [*words, precision]) + ".csv")


def write(rows: Sequence[Row], file: Path) -> None:
    """Write the CSV, and its picture beside it."""
    from ansnet.files import whole  # `commits.py` uses this file beside an older ansnet too

    file.parent.mkdir(parents=True, exist_ok=True)
    with whole(file) as unfinished:
        append(rows, unfinished)
    draw(rows, file.with_suffix(".png"))


def columns(kind: type[Conditions]) -> list[str]:
    """The names of a row's fields, in the order of the CSV."""
    last = [field.name for field in fields(Conditions)]
    return [field.name for field in fields(kind) if field.name not in last] + last


def append(rows: Sequence[Conditions], file: Path) -> None:
    """Add rows, all of one kind, to the CSV; it is made if it is not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    is_new = not file.exists() or file.stat().st_size == 0
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns(type(rows[0])))
        if is_new:
            writer.writeheader()
        for row in rows:
            writer.writerow({column: to_text(value) for column, value in asdict(row).items()})


def to_text(value: object) -> object:
    return f"{value:.5g}" if isinstance(value, float) else value


def read(file: Path, kind: type[RowKind]) -> list[RowKind]:
    """The rows of a kind that `append` wrote; none if there is no file."""
    convert: dict[str, Callable[[str], Any]] = {
        "str": str,
        "int": int,
        "float": float,
        "str | None": lambda text: text or None,
        "float | None": lambda text: float(text) if text else None,
    }
    if not file.exists():
        return []
    types = {field.name: str(field.type) for field in fields(kind)}
    with file.open(newline="", encoding="utf-8") as stream:
        return [
            kind(**{name: convert[type_](line[name]) for name, type_ in types.items()})
            for line in csv.DictReader(stream)
        ]


def ours(rows: Iterable[Row]) -> list[Row]:
    """Those that have the ratios."""
    return [row for row in rows if row.time_ratio is not None]


def means(rows: Iterable[Row]) -> tuple[float, float | None]:
    """Geometric means of the ratios of time and of memory; the latter where there is memory."""
    rows = list(rows)
    time = [row.time_ratio for row in rows if row.time_ratio is not None]
    memory = [row.memory_ratio for row in rows if row.memory_ratio is not None]
    return geometric_mean(time), geometric_mean(memory) if memory else None


def show(rows: Sequence[Row]) -> None:
    """Print what was just measured: our time, and the ratios to the best of the others."""
    for row in ours(rows):
        print(
            f"{row.name:<15} {row.shape:<42}{row.passes:<18}{row.memory_format:<14}"
            f"{row.median_ms:9.3f} ms  time ×{row.time_ratio:.3f} ({row.time_ratio_lower:.3f}–"
            f"{row.time_ratio_upper:.3f})  memory ×{describe(row.memory_ratio)}",
            flush=True,
        )


def show_means(rows: Sequence[Row]) -> None:
    """Print the geometric mean of the ratios, of each pass and memory format."""
    kinds = dict.fromkeys((row.passes, row.memory_format) for row in ours(rows))
    for passes, memory_format in kinds:
        of_kind = [row for row in rows if (row.passes, row.memory_format) == (passes, memory_format)]
        time, memory = map(describe, means(of_kind))
        title = f"geometric mean of {len(ours(of_kind))}: {passes}, {memory_format}"
        print(f"{title:<88}   time ×{time}  memory ×{memory}")


def describe(ratio: float | None, digits: int = 3) -> str:
    return "–" if ratio is None else f"{ratio:.{digits}f}"


def draw(rows: Sequence[Row], picture: Path) -> None:
    """Draw the ratios of time, with quartiles, and of memory, a line a shape, as a PNG."""
    from matplotlib.figure import Figure

    from ansnet.files import whole

    compared = ours(rows)
    lines, labels = layout(compared)
    formats = list(dict.fromkeys(row.memory_format for row in compared))
    quantities = ["time", "memory"] if means(compared)[1] is not None else ["time"]
    panels = [
        (quantity, passes)
        for passes in dict.fromkeys(row.passes for row in compared)
        for quantity in quantities
    ]
    figure = Figure(figsize=(4 + 2.5 * len(panels), 2 + 0.3 * len(labels)), layout="constrained")
    first = compared[0]
    others = " or ".join(dict.fromkeys(row.provider for row in rows if row not in compared))
    figure.suptitle(
        f"{first.benchmark}: {first.provider} ÷ {others}, below 1 is better\n"
        f"{first.device}, {first.precision}, torch {first.torch}"
    )
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for (quantity, passes), axes in zip(panels, all_axes, strict=True):
        axes.set_title(f"{quantity}, {passes}", fontsize="medium")
        ratio = attrgetter(f"{quantity}_ratio")
        for index, memory_format in enumerate(formats):
            shown = [
                row
                for row in compared
                if (row.passes, row.memory_format) == (passes, memory_format) and ratio(row) is not None
            ]
            offset = 0.3 * (index - (len(formats) - 1) / 2)
            axes.errorbar(
                [ratio(row) for row in shown],
                [lines[row.name, row.shape] + offset for row in shown],
                xerr=whiskers(shown) if quantity == "time" else None,
                linestyle="none",
                marker=MARKERS[index],
                markersize=4,
                color=COLOURS[index],
                label=memory_format,
            )
        scale_by_ratio(axes)
        for line in set(range(len(labels))) - set(lines.values()):
            axes.axhspan(line - 0.5, line + 0.5, color="0.93")
    first_axes = all_axes[0]
    first_axes.set_yticks(range(len(labels)), labels)
    first_axes.set_ylim(len(labels) - 0.5, -0.5)
    for line, label in enumerate(first_axes.get_yticklabels()):
        if line not in lines.values():
            label.set_fontweight("bold")
    figure.legend(*first_axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    with whole(picture) as unfinished:
        figure.savefig(unfinished, dpi=120, format="png")


def layout(rows: Sequence[Row]) -> tuple[dict[tuple[str, str], int], list[str]]:
    """The line of each name and shape, and the lines' labels: a heading a name, and its shapes."""
    lines: dict[tuple[str, str], int] = {}
    labels: list[str] = []
    for name in dict.fromkeys(row.name for row in rows):
        labels.append(name)
        for shape in dict.fromkeys(row.shape for row in rows if row.name == name):
            lines[name, shape] = len(labels)
            labels.append(shape)
    return lines, labels


def whiskers(rows: Sequence[Row]) -> list[list[float]]:
    """How far the quartiles of the time ratio lie below and above its median."""
    return [
        [(row.time_ratio or 0) - (row.time_ratio_lower or 0) for row in rows],
        [(row.time_ratio_upper or 0) - (row.time_ratio or 0) for row in rows],
    ]


def scale_by_ratio(axes: Axes) -> None:
    """Put twice as much as far from the line at 1 as half as much, and both into sight."""
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    lower, upper = axes.get_xlim()
    lower, upper = min(lower, 1 / 2.1), max(upper, 2.1)
    width = upper / lower
    ticks = [0.5, 0.7, 1, 1.4, 2, 2.8]
    if width > 6:
        ticks = [2.0**power for power in range(-12, 13, 1 if width < 64 else 2)]
    shown = [tick for tick in ticks if lower <= tick <= upper]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_xticks([], minor=True)
    axes.set_xlim(lower, upper)
    axes.grid(alpha=0.3)
