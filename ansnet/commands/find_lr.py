"""``python -m ansnet find-lr``: the learning rate range test alone, which trains nothing."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence

from ansnet.commands.config_file import ConfigParser
from ansnet.commands.options import add_json, add_picture, check_picture, unwritten
from ansnet.commands.parser import Mistake, OneLineParser
from ansnet.commands.train import add_settings
from ansnet.training.settings import Settings, SettingsError

# what makes no sense without a run
WITHOUT = ("find_lr", "resume", "log_dir")


def make_parser() -> OneLineParser:
    """The options of a training, less those that make no sense without a run."""
    prog = "python -m ansnet find-lr"
    parser = ConfigParser(
        prog=prog,
        ignored=(*WITHOUT, "repeat"),
        usage=f"{prog} [options]",
        description="Find a learning rate: take a hundred steps at rising ones, and say at which the "
        "loss fell most steeply. The options are those of a training, which would begin with these "
        "steps.",
    )
    add_picture(parser, "find_lr.png", "the loss by learning rate")
    add_json(parser)
    add_settings(parser, without=WITHOUT)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, draw, and say what was found."""
    parser = make_parser()
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(words)
    asked_for = parser.options_in(words)
    if "lr" in asked_for:
        parser.error(f"--lr {given.lr:g}: the learning rate is what is searched for; leave it out")
    try:
        check_picture(given.out)
        settings = Settings.complete({**vars(given), "find_lr": True}, asked_for)
    except (Mistake, SettingsError) as error:
        parser.error(str(error))

    from ansnet.data import DataError
    from ansnet.models import NotationError, UnknownModelError
    from ansnet.training.find_lr import draw_search
    from ansnet.training.machine import check_machine, complete_by_device
    from ansnet.training.precision import settled
    from ansnet.training.run import find_learning_rate

    try:
        check_machine(settings)
        settings, timing = settled(complete_by_device(settings))
        search = find_learning_rate(settings)
        draw_search(search, given.out)
    except (DataError, NotationError, SettingsError, UnknownModelError) as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(str(unwritten(given.out, error)))
    command = train_command(words, search.rate, None if timing is None else timing.precision)
    if given.json:
        found = {"lr": search.rate, "rates": search.rates, "losses": search.losses}
        print(json.dumps({**found, "picture": str(given.out), "train": command}))
    else:
        print(f"{search}: {given.out}\n{command}")
    return 0


def train_command(words: Sequence[str], rate: float, precision: str | None = None) -> str:
    """The command line of the training that the search was for, with what was found.

    Args:
        words: of this command line.
        rate: that was found.
        precision: in which it was, if that was measured, and may be measured to be another.
    """
    kept, left = list[str](), iter(words)
    for word in left:
        if word == "--out":
            next(left, None)
        elif word != "--json" and not word.startswith("--out="):
            kept.append(word)
    if precision is not None:
        kept += ["--precision", precision]
    return shlex.join(["python", "-m", "ansnet", "train", *kept, "--lr", f"{rate:g}"])


if __name__ == "__main__":
    sys.exit(main())
