"""``python -m ansnet summary MODEL``: a line a layer."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ansnet.commands.completion import complete_models
from ansnet.commands.options import add_completer, add_json
from ansnet.commands.parser import OneLineParser
from ansnet.commands.table import table

if TYPE_CHECKING:
    from ansnet.models.summary import LayerSummary

HEADER = ("layer", "", "output", "parameters", "memory", "multiply-adds")


def make_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="python -m ansnet summary",
        description="What a network is made of: of each layer the shape of its output, the parameters, "
        "the memory of its output in float32 and its multiply-adds, for one image.",
    )
    model = parser.add_argument(
        "model", help='vgg7, vgg7bn, resnet9, or a network in notation, as "CR(8), L(10)"'
    )
    add_completer(model, complete_models)
    add_json(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of the network that the command line names."""
    parser = make_parser()
    given = parser.parse_args(arguments)

    import torch

    from ansnet.models import Network, NotationError, UnknownModelError, create_model
    from ansnet.models.registry import MODELS
    from ansnet.models.summary import summarise

    try:  # a notation may have any number of outputs here
        named = given.model in MODELS or given.model.isidentifier()
        with torch.device("meta"):  # which takes no memory
            network = create_model(given.model) if named else Network(given.model)
    except (NotationError, UnknownModelError) as error:
        parser.error(str(error))
    layers = summarise(network, network.in_shape)
    if given.json:
        described = [{**asdict(layer), "memory": layer.memory} for layer in layers]
        print(json.dumps({"model": given.model, "notation": network.notation, "layers": described}))
    else:
        print(f"{network.notation}\n")
        print(report(layers))
    return 0


def report(layers: Sequence[LayerSummary]) -> str:
    """The layers and their sums, as a person reads them."""
    parameters, memory, products = (
        sum(getattr(layer, name) for layer in layers)
        for name in ("parameters", "memory", "multiply_adds")
    )
    totals = ("in all", "", "", f"{parameters:,}", size(memory), f"{products:,}")
    lines = table([HEADER, *map(cells, layers), totals], left=3).splitlines()
    return "\n".join([*lines[:-1], "", lines[-1]])


def cells(layer: LayerSummary) -> tuple[str, ...]:
    shape = " × ".join(map(str, layer.shape))
    numbers = (f"{number:,}" if number else "" for number in (layer.parameters, layer.multiply_adds))
    parameters, products = numbers
    return layer.name, layer.kind, shape, parameters, size(layer.memory), products


def size(count: int) -> str:
    """Bytes in kB, or in MB from a thousand of those."""
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.2f} kB"


if __name__ == "__main__":
    sys.exit(main())
