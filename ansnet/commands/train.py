"""``python train.py``, or ``python -m ansnet train``: train a network.

Only the parser is imported before the arguments have been read, so that ``--help`` and a mistyped
flag are answered at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from ansnet.commands.parser import OneLineParser, add_switch
from ansnet.training import settings as known
from ansnet.training.settings import Settings, SettingsError

PROG = "python -m ansnet train"


def make_parser(prog: str = PROG) -> OneLineParser:
    """The options, in the groups in which ``--help`` shows them."""
    parser = OneLineParser(
        prog=prog,
        usage=f"{prog} [options]",
        description="Train a convolutional network whose every operation is a documented formula.",
        epilog="Where no default is shown, the recommended one for the model and the data set is used.",
    )
    parser.add_argument("--config", action="config", help="read options from a YAML file")

    network = parser.add_argument_group("network")
    network.add_argument(
        "--model",
        default="vgg7",
        help='vgg7, vgg7bn, resnet9, or a network in notation, as "CNR(32), M(2), M(16), L(10)"',
    )
    network.add_argument(
        "--ops",
        choices=known.OPERATIONS,
        default="ansnet",
        help="build it from the documented formulas, or for comparison from torch.nn",
    )

    data = parser.add_argument_group("data")
    data.add_argument(
        "--dataset",
        choices=known.DATASETS,
        default="cifar10",
        help="shapes10 is drawn in memory and needs no download",
    )
    data.add_argument(
        "--data-dir",
        help="folder with CIFAR-10, or to download it to "
        f"(otherwise ${known.DATA_DIR_VARIABLE}, otherwise data)",
    )
    data.add_argument(
        "--mirror", help="URL of cifar-10-python.tar.gz, or of its folder, to download from"
    )
    add_switch(data, "augment", "flip and crop the training images at random")
    data.add_argument(
        "--flip", choices=known.FLIPS, help="flip an image by chance, or in every second epoch"
    )
    data.add_argument("--border", choices=known.BORDERS, help="what a crop takes beyond the image")
    data.add_argument(
        "--cutout", type=NonNegativeInt, help="side of the square painted over, in pixels; 0 for none"
    )

    training = parser.add_argument_group("training")
    training.add_argument("--max-epochs", type=PositiveInt, help="epochs to train")
    training.add_argument("--batch-size", type=PositiveInt, help="images a step and device")
    training.add_argument(
        "--optimizer", choices=known.OPTIMIZERS, help="adamw's and muon's weight decay is decoupled"
    )
    training.add_argument("--lr", type=PositiveFloat, help="learning rate, at its highest")
    add_switch(
        training,
        "find-lr",
        "find the learning rate by a hundred steps at rising ones, and train with it from the start",
        default=False,
    )
    training.add_argument(
        "--bias-lr-factor",
        type=NonNegativeFloat,
        help="what that of biases and normalisations is multiplied by",
    )
    training.add_argument("--schedule", choices=known.SCHEDULES, help="how it falls to 0, step by step")
    training.add_argument(
        "--warmup", type=ClosedUnitInterval, help="share of the training in which it rises before"
    )
    training.add_argument("--momentum", type=NonNegativeFloat, help="of sgd and muon")
    add_switch(training, "nesterov", "Nesterov's momentum, for sgd")
    training.add_argument("--weight-decay", type=NonNegativeFloat, help="pull of the weights towards 0")
    add_switch(training, "decay-biases", "biases and normalisations decay as well")
    training.add_argument(
        "--label-smoothing", type=ClosedUnitInterval, help="share of the target for all classes"
    )
    add_switch(training, "identity-init", "convolutions start with filters that copy their channels")
    add_switch(
        training, "test-time-flip", "at the end, validate also by images and their mirror images"
    )
    add_switch(training, "test-time-shift", "at the end, validate also by images shifted by a pixel")
    training.add_argument("--seed", type=NonNegativeInt, default=0, help="same seed, same run")
    training.add_argument(
        "--repeat",
        type=PositiveInt,
        default=1,
        help="train from so many seeds, this one and the next, and say mean and deviation",
    )
    training.add_argument("--resume", metavar="CHECKPOINT", help="go on from a checkpoint")

    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--accelerator",
        choices=known.ACCELERATORS,
        default="auto",
        help="what to train on; auto takes what the machine has",
    )
    machine.add_argument("--devices", type=PositiveInt, default=1, help="how many of them")
    machine.add_argument(
        "--precision",
        choices=known.PRECISIONS,
        help="bits of the numbers; by default bf16-mixed on CUDA, elsewhere 32-true",
    )
    add_switch(
        machine,
        "channels-last",
        "keep images and weights in memory with the channels of a pixel side by side",
        default=True,
    )
    machine.add_argument(
        "--compile",
        choices=known.COMPILATIONS,
        help="generate code for nothing, for ansnet's operations, or for the whole network; by default "
        "network on CUDA, operations for cifar10 on a CPU with a C++ compiler, otherwise none",
    )
    machine.add_argument("--log-dir", default="lightning_logs", help="where the run is recorded")
    return parser


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> None:
    """Parse, build, fit, and say what came out.

    Args:
        arguments: the command line; None takes the process's own.
        prog: what the user has called.
    """
    parser = make_parser(prog)
    arguments = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(arguments)
    try:
        settings = Settings.complete(vars(given), parser.options_in(arguments))
    except SettingsError as error:
        parser.error(str(error))

    from ansnet.compatibility import lightning
    from ansnet.data import DataError
    from ansnet.models import NotationError, UnknownModelError
    from ansnet.training.repeat import repeat
    from ansnet.training.run import train

    try:
        outcome = train(settings) if given.repeat == 1 else repeat(settings, given.repeat)
    except (DataError, NotationError, SettingsError, UnknownModelError) as error:
        parser.error(str(error))
    lightning.utilities.rank_zero_only(print)(outcome)
