"""``python -m ansnet models``: the networks that have a name, their size, and what they reached."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ansnet.commands.completion import complete_models
from ansnet.commands.options import add_completer, add_json
from ansnet.commands.parser import OneLineParser
from ansnet.commands.table import table
from ansnet.training.comparison import percent

if TYPE_CHECKING:
    from ansnet.models.recorded import Recorded

EPILOG = (
    "The accuracy is that of recorded runs by the recommended recipe, on CIFAR-10's test images, after "
    "the last epoch: mean and standard deviation over the seeds."
)


@dataclass(frozen=True)
class Described:
    """A model; parameters and multiply-adds are of one image and ten classes."""

    name: str
    notation: str
    parameters: int
    multiply_adds: int
    recorded: list[Recorded]


def make_parser() -> OneLineParser:
    parser = OneLineParser(
        prog="python -m ansnet models",
        description="The networks that have a name: their notation, parameters, multiply-adds of one "
        "image, and the accuracy that was recorded.",
        epilog=EPILOG,
    )
    pattern = parser.add_argument(
        "pattern", nargs="?", default="*", metavar="PATTERN", help="only these, as 'vgg*'"
    )
    add_completer(pattern, complete_models)
    add_json(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """List the models."""
    parser = make_parser()
    given = parser.parse_args(arguments)

    from ansnet.models import list_models

    names = list_models(given.pattern)
    if not names:
        parser.error(f"no model matches {given.pattern!r}; known are {', '.join(list_models())}")
    models = [describe(name) for name in names]
    print(json.dumps([asdict(model) for model in models]) if given.json else report(models))
    return 0


def describe(name: str) -> Described:
    import torch

    from ansnet.models import create_model
    from ansnet.models.recorded import read_recorded
    from ansnet.models.summary import summarise

    with torch.device("meta"):  # which takes no memory
        network = create_model(name)
    layers = summarise(network, network.in_shape)
    return Described(
        name,
        network.notation,
        sum(layer.parameters for layer in layers),
        sum(layer.multiply_adds for layer in layers),
        read_recorded(name),
    )


def report(models: Sequence[Described]) -> str:
    """A table, and below it the notations."""
    rows = [["name", "parameters", "multiply-adds", "accuracy", "runs", "epochs", "precision"]]
    for model in models:
        sizes = [model.name, f"{model.parameters:,}", f"{model.multiply_adds:,}"]
        found = [
            [
                f"{percent(each.accuracy, each.deviation)} %",
                str(each.runs),
                str(each.epochs),
                each.precision,
            ]
            for each in model.recorded
        ] or [["not recorded", "", "", ""]]
        rows += [[*(sizes if each is found[0] else [""] * len(sizes)), *each] for each in found]
    width = max(len(model.name) for model in models)
    notations = [f"{model.name:<{width}}  {model.notation}" for model in models]
    return "\n".join([table(rows, left=1), "", *notations])


if __name__ == "__main__":
    sys.exit(main())
