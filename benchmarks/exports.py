"""Exported networks beside the exports of their `torch.nn` twins: logits, operators and time::

    python benchmarks/exports.py                           # all exporters that are installed
    python benchmarks/exports.py --only onnx pnnx --models vgg7bn
    python benchmarks/exports.py --show --record > docs/exports.md  # the page of what is there

Both are exported in evaluation mode from the same weights and the same example batch, and loaded into
the exporter's own runtime, where they take turns. Compared are the logits of batches of other sizes
than the example's, the operators that stand in the two files, and the time of a batch. Each exporter
has a process of its own, since importing some of them changes torch for the others. Added to
``checks/exports.csv`` is a row for each exporter, network and size of the batch.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from ansnet.models import Network, create_model, list_models, torch_twin
from commits import named
from exporters import EXPORTERS, Exported, Exporter
from measure import add_results, alternate, check_there, prepare, quartiles
from results import MILLISECOND, Conditions, append, conditions, describe, read
from summary import markdown

EXAMPLE = 16  # images in the example: from fewer, ExecuTorch takes no batch of more than 15 (findings/)
BATCHES = (1, 64)
PAGE = """\
# Exports

A network in evaluation mode leaves PyTorch's own operators in what is exported, those that its layers
stand for. So its file is that of its `torch.nn` twin, and takes the same time. Written by
`python benchmarks/exports.py --show --record > docs/exports.md`; not by hand.

Both were exported with an example of {example} images, for batches of any size (LiteRT: a file for each
size), and took turns in the format's own runtime, on batches of 1 and 64. *Logits apart* is the
largest difference divided by the largest logit, *operators* how many the twin's file has, and which
ours has more or fewer; *time* is ours divided by the twin's, the median (and quartiles) over the
rounds. The machine was shared with other work: where operators and logits are the same, what is not 1
is that.

{machines}; torch {torches}.

{table}

- **Core ML** computes on Apple's machines only; here its program was compared, and not run.
- **torch.jit.script** is given `ansnet.modules.to_torch(network)`: TorchScript knows no Function, and
  raises an error that says so.
- **pnnx** knows `nn.ReLU` and `nn.MaxPool2d` by the exact names of their classes, and writes ours down
  as `F.relu` and `F.max_pool2d`, which compute the same; `ansnet.modules.to_torch(network)` gives it
  the twin.
- **ExecuTorch**: an example of fewer than 16 images gives a file that takes no more than 15, whatever
  was declared ([`findings/`](../findings/executorch_batch_of_15.sh)).
- **LiteRT** 0.10.0 raises where a `Flatten` has a batch of any size, the twin's too.
- **OpenVINO** computes in bfloat16 where the processor has it, unless told otherwise as here:
  `INFERENCE_PRECISION_HINT`, `"f32"`.
- **ONNX**: call `.eval()` before. In training mode `torch.onnx.export` writes dropout as it is in
  training and batch normalisation as it is in evaluation
  ([`findings/`](../findings/onnx_training_mode.sh)).

Quantisers are among the [tools](tools.md#quantisers)."""


@dataclass(frozen=True, kw_only=True)
class Row(Conditions):
    """A line of the CSV: a network's export and its twin's, on batches of a size.

    Attributes:
        name: of the model.
        versions: of the exporter's packages.
        error: what ours, or else what the twin's raised; the figures are missing then.
        difference: the largest between two logits, divided by the largest logit of the twin's; None
            where the file cannot be run on this platform, as the times.
        operators: in the twin's file.
        different_operators: of which ours has more (+) or fewer (−) than the twin's.
        time_ratio: our time divided by the twin's.
    """

    exporter: str
    name: str
    commit: str
    batch_size: int
    example_size: int
    versions: str
    error: str | None
    difference: float | None
    operators: int
    different_operators: str | None
    median_ms: float | None
    against_ms: float | None
    time_ratio: float | None
    time_ratio_lower: float | None
    time_ratio_upper: float | None
    rounds: int


def compare(exporter: str, model: str, rounds: int) -> list[Row]:
    """A row for each size of the batch."""
    how = EXPORTERS[exporter]
    network = settled(create_model(model))
    twin = torch_twin(network)
    rows = []
    with TemporaryDirectory() as folder:
        exports: dict[int, tuple[Exported | str, Exported | str]] = {}
        for size in BATCHES:
            example = EXAMPLE if how.any_batch else size
            if example not in exports:
                images = torch.randn(example, 3, 32, 32)
                exports[example] = (
                    attempt(how, network, images, Path(folder, f"ansnet{example}")),
                    attempt(how, twin, images, Path(folder, f"torch{example}")),
                )
            row = Row(
                exporter=exporter,
                name=model,
                commit=named("HEAD"),
                batch_size=size,
                example_size=example,
                versions=", ".join(f"{name} {version}" for name, version in how.versions.items()),
                error=None,
                difference=None,
                operators=0,
                different_operators=None,
                median_ms=None,
                against_ms=None,
                time_ratio=None,
                time_ratio_lower=None,
                time_ratio_upper=None,
                rounds=rounds,
                **conditions(torch.device("cpu")),
            )
            rows.append(filled(row, *exports[example]))
    return rows


def settled(network: Network) -> Network:
    """The network in evaluation mode, with running averages as if it had been trained."""
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return network.eval()


def attempt(how: Exporter, network: nn.Module, example: Tensor, folder: Path) -> Exported | str:
    """The export, or what it raised."""
    folder.mkdir()
    silent = io.StringIO()
    try:
        with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            return how.export(network, example, folder)
    except Exception as error:  # what an exporter raises is a result
        [first, *_] = [*filter(None, map(str.strip, str(error).splitlines())), ""]
        return f"{type(error).__name__}: {first}"[:160]


def filled(row: Row, ours: Exported | str, twins: Exported | str) -> Row:
    """The row with what a comparison of the two has given."""
    if isinstance(ours, str) or isinstance(twins, str):
        return replace(row, error=f"twin: {twins}" if isinstance(twins, str) else str(ours))
    row = replace(
        row,
        operators=twins.operators.total(),
        different_operators=operator_difference(ours.operators, twins.operators),
    )
    if ours.run is None or twins.run is None:
        return row
    images = torch.randn(row.batch_size, 3, 32, 32)
    our_run, twins_run = ours.run, twins.run
    with torch.no_grad():
        logits, twins_logits = our_run(images).clone(), twins_run(images).clone()
        calls = [lambda: our_run(images), lambda: twins_run(images)]
        our_times, twins_times = alternate(calls, row.rounds, torch.device("cpu"))
    lower, median, upper = quartiles(
        [mine / other for mine, other in zip(our_times, twins_times, strict=True)]
    )
    return replace(
        row,
        difference=((logits - twins_logits).abs().max() / twins_logits.abs().max()).item(),
        median_ms=quartiles(our_times).median / MILLISECOND,
        against_ms=quartiles(twins_times).median / MILLISECOND,
        time_ratio=median,
        time_ratio_lower=lower,
        time_ratio_upper=upper,
    )


def operator_difference(ours: Counter[str], twins: Counter[str]) -> str | None:
    """Which operators one has more often, as ``Transpose +10``."""
    parts = []
    for sign, surplus in (("+", ours - twins), ("−", twins - ours)):
        parts += [f"{kind} {sign}{number}" for kind, number in surplus.most_common()]
    return ", ".join(parts) or None


def page(rows: list[Row]) -> str:
    """What was measured, as a page of the docs."""
    newest = newest_of(rows)
    machines = {f"{row.device}, {row.cpu_capability}, threads: {row.threads}" for row in newest}
    return PAGE.format(
        example=EXAMPLE,
        machines="; ".join(sorted(machines)),
        torches=", ".join(sorted({row.torch for row in newest})),
        table=table(newest),
    )


def newest_of(rows: list[Row]) -> list[Row]:
    """The last row of each exporter, network and size."""
    return list({(row.exporter, row.name, row.batch_size): row for row in rows}.values())


def table(rows: list[Row]) -> str:
    """The newest rows in Markdown, a line for each exporter and network."""
    together: dict[tuple[str, str], list[Row]] = {}
    for row in newest_of(rows):
        together.setdefault((row.exporter, row.name), []).append(row)
    order = list(EXPORTERS)
    lines = [
        [exporter, of_network[0].versions or f"torch {of_network[0].torch}", name, *cells(of_network)]
        for (exporter, name), of_network in sorted(
            together.items(), key=lambda item: order.index(item[0][0])
        )
    ]
    times = [f"time, batch {size}" for size in BATCHES]
    return markdown(["exporter", "version", "network", "logits apart", "operators", *times], lines)


def cells(rows: list[Row]) -> list[str]:
    """Of the comparison: rows of one exporter and network."""
    errors = [row.error for row in rows if row.error is not None]
    if errors:
        return [errors[0].replace("|", "\\|"), *[""] * (1 + len(BATCHES))]
    operators = {f"{row.operators}, {row.different_operators or 'the same'}" for row in rows}
    apart = [row.difference for row in rows if row.difference is not None]
    times = [
        f"{describe(row.time_ratio, 2)} ({describe(row.time_ratio_lower, 2)}–"
        f"{describe(row.time_ratio_upper, 2)})"
        if row.time_ratio is not None
        else "–"
        for row in sorted(rows, key=lambda row: row.batch_size)
    ]
    return [f"{max(apart):.1e}" if apart else "–", "; ".join(sorted(operators)), *times]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=EXPORTERS, help="these exporters")
    parser.add_argument("--models", nargs="+", choices=list_models(), default=list_models())
    parser.add_argument("--rounds", type=int, default=20, help="default 20")
    parser.add_argument("--threads", type=int, default=1, help="of torch and the runtimes, default 1")
    add_results(parser)
    parser.add_argument("--show", action="store_true", help="print the page of what is there")
    parser.set_defaults(device="cpu")
    options = parser.parse_args()
    file = options.results / "checks" / "exports.csv"
    if options.show:
        check_there(parser, file)
        print(page(read(file, Row)))
        return
    names = options.only or list(EXPORTERS)
    if len(names) > 1:
        for name in names:
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--only", name], check=False)
        return
    [name] = names
    absent = [package for package, version in EXPORTERS[name].versions.items() if version is None]
    if absent:
        print(f"{name}: {', '.join(absent)} not installed", flush=True)
        return
    prepare(options)
    warnings.simplefilter("ignore")
    logging.disable()
    for model in options.models:
        rows = compare(name, model, options.rounds)
        for row in rows:
            print(f"{name}, {model}, batch {row.batch_size}:", *filter(None, cells([row])), flush=True)
        append(rows, file)


if __name__ == "__main__":
    main()
