"""Each operation under compiled transformations of `torch.func`, beside eager, by version of torch::

    python benchmarks/compositions.py --record         # adds this version's rows to the CSV
    python benchmarks/compositions.py --show --record  # the tables, in Markdown

The transformations are those of the battery's *compiled transformations*, and three more. Up to four
samples of an operation are tried, spread over all that have real inputs, and each at integers too,
where maxima tie. PyTorch's own operation is tried where ansnet's raises an error; what it cannot do
either is told apart.
"""

from __future__ import annotations

import argparse
import csv
import platform
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, jvp, vmap

from ansnet.files import whole
from ansnet.testing.case import Case, random_like
from ansnet.testing.compiled import Tensors, error_of, transformations
from ansnet.testing.derivatives import real_function
from ansnet.testing.operations import OPERATIONS
from ansnet.testing.transforms import FACTORS
from measure import add_results, check_there
from summary import markdown

SAMPLES = 4  # of each operation, at most
FIELDS = ("torch", "python", "operation", "sample", "transformation", "result")
RIGHT, WRONG, RAISES, BEYOND = "right", "wrong", "raises", "neither can PyTorch's"


def compositions(function: Callable[..., Tensors], inputs: Tensors) -> dict[str, Callable[..., Any]]:
    """The battery's transformations, and three of a batch of the first input, the others shared."""
    everything = tuple(range(len(inputs)))
    upstream, tangents = tuple(random_like(function(*inputs))), tuple(random_like(inputs))
    factors = torch.tensor(FACTORS, dtype=torch.float64)

    def scalar(*tensors: Tensor) -> Tensor:
        weighted = zip(function(*tensors), upstream, strict=True)
        return torch.stack([(w * z + z * z).sum() for z, w in weighted]).sum()

    def batched(function: Callable[..., Any], first: Tensor, *others: Tensor) -> Any:
        batch = factors.reshape(-1, *[1] * first.dim()) * first
        return vmap(function, (0, *[None] * len(others)))(batch, *others)

    def of_batch(*tensors: Tensor) -> Tensor:
        losses: Tensor = batched(scalar, *tensors)
        return losses.square().sum()

    def of_gradients(*tensors: Tensor) -> Tensor:
        gradients = batched(grad(scalar, everything), *tensors)
        return torch.stack([gradient.square().sum() for gradient in gradients]).sum()

    return {
        **transformations(function, inputs),
        "grad of vmap": grad(of_batch, everything),
        "vmap of jvp": lambda *tensors: batched(lambda *each: jvp(function, each, tangents), *tensors),
        "grad of vmap of grad": grad(of_gradients, everything),
    }


def results(only: list[str], backend: str) -> Iterator[dict[str, object]]:
    """A row for each operation, sample and transformation."""
    for name, operation in OPERATIONS.items():
        if only and name not in only:
            continue
        real = [
            (index, sample)
            for index, sample in enumerate(operation.samples())
            if not any(tensor.is_complex() for tensor in sample.differentiable)
        ]
        for index, sample in real[:: ceil(len(real) / SAMPLES)]:
            case = Case(operation.function, operation.reference, sample, None, backend)
            for transformation in compositions(*real_function(case)):
                result = outcome(transformation, case)
                print(name, index, transformation, result, flush=True)
                yield dict(
                    zip(FIELDS, [*versions(), name, str(index), transformation, result], strict=True)
                )


def versions() -> list[str]:
    """Of torch and Python."""
    return [str(torch.__version__).partition("+")[0], platform.python_version()]


def outcome(transformation: str, case: Case) -> str:
    """What came of one, in a word or two."""
    error = error_of(transformation, case, compositions)
    if error is None:
        return RIGHT
    if isinstance(error, AssertionError):
        return WRONG
    reference = case.reference or case.function
    excuse = error_of(transformation, replace(case, function=reference), compositions)
    return BEYOND if excuse is not None and not isinstance(excuse, AssertionError) else RAISES


def tables(rows: list[dict[str, str]]) -> str:
    """A table for each version: operations over transformations."""
    text = [
        "## Compiled transformations, by version\n\n"
        "Written by `python benchmarks/compositions.py --show --record`: up to four samples of each "
        "operation, inside of `torch.compile(fullgraph=True)` with the backend `aot_eager`, beside "
        "eager. A number is how many are right; for those in brackets PyTorch's own operation ends in "
        "an error as well."
    ]
    for version in sorted({row["torch"] for row in rows}):
        of_version = [row for row in rows if row["torch"] == version]
        counts = Counter(row["result"] for row in of_version)
        names = list(dict.fromkeys(row["transformation"] for row in of_version))
        outcomes: dict[tuple[str, str], list[str]] = {}
        for row in of_version:
            outcomes.setdefault((row["operation"], row["transformation"]), []).append(row["result"])
        lines = [
            [f"`{operation}`", *(cell(outcomes[operation, name]) for name in names)]
            for operation in dict.fromkeys(row["operation"] for row in of_version)
        ]
        total = ", ".join(f"{counts[result]} {result}" for result in (RIGHT, WRONG, RAISES, BEYOND))
        text.append(f"**torch {version}**: {total}.\n\n{markdown(['', *names], lines)}")
    return "\n\n".join(text)


def cell(outcomes: list[str]) -> str:
    """How many are right, and how many are something else."""
    counts = Counter(outcomes)
    beyond = f" ({counts[BEYOND]})" if counts[BEYOND] else ""
    faults = "".join(f", **{counts[kind]} {kind}**" for kind in (WRONG, RAISES) if counts[kind])
    return f"{counts[RIGHT]}{beyond}{faults}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--show", action="store_true", help="print the tables of what is there")
    parser.add_argument("--only", nargs="+", choices=OPERATIONS, default=[], help="these operations")
    parser.add_argument("--backend", default="aot_eager", help="of torch.compile, default aot_eager")
    add_results(parser)
    options = parser.parse_args()
    file = options.results / "checks" / "compositions.csv"
    known: list[dict[str, Any]] = []
    if file.exists():
        with file.open(encoding="utf-8", newline="") as stream:
            known = list(csv.DictReader(stream))
    if options.show:
        check_there(parser, file)
        print(tables(known))
        return
    added = list(results(options.only, options.backend))
    replaced = {(row["torch"], row["operation"]) for row in added}
    kept = [row for row in known if (row["torch"], row["operation"]) not in replaced]
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole(file) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows([*kept, *added])


if __name__ == "__main__":
    main()
