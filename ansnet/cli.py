"""The command line of ``train.py``.

Only the parser is imported before the arguments have been read, so that ``--help`` and a mistyped
flag are answered at once.
"""

from __future__ import annotations

import re
import sys
from argparse import Action
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from jsonargparse import ActionYesNo, ArgumentParser, DefaultHelpFormatter
from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from ansnet.training import settings as known
from ansnet.training.settings import Settings, SettingsError

EXPECTED = {
    "PositiveInt": "a whole number above 0",
    "NonNegativeInt": "a whole number, 0 or above",
    "PositiveFloat": "a number above 0",
    "NonNegativeFloat": "a number, 0 or above",
    "ClosedUnitInterval": "a number from 0 to 1",
}


class HelpFormatter(DefaultHelpFormatter):
    """Leaves out the defaults that are null: the recipe's stand in for them."""

    def _expand_help(self, action: Action) -> str:
        text: str = super()._expand_help(action)
        return text.replace(", default: null)", ")").replace(" (default: null)", "")


class OneLineParser(ArgumentParser):
    """Answers bad input with one line that names the flag, and with exit code 2."""

    def error(self, message: str, exception: Exception | None = None) -> NoReturn:
        line = " ".join(message.split())
        if key := re.match(r'Parser key "(\w+)": (.*)', line):
            line = f"--{key[1].replace('_', '-')}: {describe_wrong_value(key[2])}"
        elif unknown := re.match(r"unrecognized arguments: (--[\w-]+)", line, re.IGNORECASE):
            line = f"unknown flag {unknown[1]}; {self.nearest_flag(unknown[1])}"
        print(f"{self.prog}: error: {line}", file=sys.stderr)
        sys.exit(2)

    def options_in(self, arguments: Sequence[str]) -> set[str]:
        """Names of the options that a command line gives itself, and not by a file."""
        words = {word.split("=")[0] for word in arguments}
        return {action.dest for action in self._actions if words.intersection(action.option_strings)}

    def nearest_flag(self, unknown: str) -> str:
        flags = [flag for action in self._actions for flag in action.option_strings]
        nearest = get_close_matches(unknown, flags, n=1)
        return f"did you mean {nearest[0]}?" if nearest else f"see {self.prog} --help"


def describe_wrong_value(reason: str) -> str:
    """What jsonargparse says of a number, in words: what was given, and what is expected."""
    number = re.match(r"Not of type (\w+): (?:.*: )?'?(.*?)'?(?: does not conform .*)?$", reason)
    if number and number[1] in EXPECTED:
        return f"got {number[2]}, expected {EXPECTED[number[1]]}"
    return reason


def make_parser() -> OneLineParser:
    """The options, in the groups in which ``--help`` shows them."""
    parser = OneLineParser(
        prog="train.py",
        usage="python train.py [options]",
        description="Train a convolutional network whose every operation is a documented formula.",
        epilog="Where no default is shown, the recommended one for the model and the data set is used.",
        formatter_class=HelpFormatter,
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


def add_switch(group: Any, name: str, explanation: str, default: bool | None = None) -> None:
    """Add ``--name`` and ``--no-name``."""
    action = ActionYesNo(yes_prefix="", no_prefix="no-")
    group.add_argument(f"--{name}", action=action, default=default, help=explanation)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, build, fit, and say what came out.

    Args:
        arguments: the command line; None takes the process's own.
    """
    parser = make_parser()
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
