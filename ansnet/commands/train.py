"""``python train.py``, or ``python -m ansnet train``: train a network.

Its options are the fields of `ansnet.training.settings.Settings`. Only the parser is imported before
the arguments have been read, so that ``--help`` and a mistyped flag are answered at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from shlex import quote
from typing import Any

from jsonargparse.typing import PositiveInt

from ansnet.commands.config_file import ConfigParser
from ansnet.commands.mistake import shortened, told
from ansnet.commands.options import add_completer
from ansnet.commands.parser import OneLineParser, add_switch
from ansnet.commands.runs import NoRunError, find_resumable
from ansnet.commands.terminal import can_show
from ansnet.training.interruption import Interrupted, Interruption
from ansnet.training.launcher import is_first_of_node
from ansnet.training.options import declared
from ansnet.training.recipes import Recipe
from ansnet.training.settings import Settings, SettingsError
from ansnet.training.waiting import bound_spinning

PROG = "python -m ansnet train"
GROUPS = ("network", "data", "training", "machine", "record", "debugging")


def make_parser(prog: str = PROG) -> OneLineParser:
    """The options, in the groups in which ``--help`` shows them."""
    parser = ConfigParser(
        prog=prog,
        usage=f"{prog} [options]",
        description="Train a convolutional network whose every operation is a documented formula.",
        epilog="Where no default is shown, the recommended one for the model and the data set is used.",
    )
    parser.add_argument(
        "--print-config",
        action="store_true",
        help="print all settings of this command line as such a file, and train nothing",
    )
    groups = add_settings(parser)
    groups["training"].add_argument(
        "--repeat",
        type=PositiveInt,
        default=1,
        metavar="N",
        help="train from so many seeds, this one and the next, and say mean and deviation",
    )
    return parser


def add_settings(parser: OneLineParser, without: Collection[str] = ()) -> dict[str, Any]:
    """Add the options of a training, and return the groups in which ``--help`` shows them.

    Args:
        parser: of a command that needs the settings of a training.
        without: settings that it has no use for.
    """
    groups = {name: parser.add_argument_group(name) for name in GROUPS}
    # what a run is and what it is made on first, then its recipe
    own = len(fields(Recipe))
    for setting in [*fields(Settings)[own:], *fields(Settings)[:own]]:
        if setting.name not in without:
            add_option(groups[declared(setting).group], setting)
    return groups


def add_option(group: Any, setting: Any) -> None:
    """Add the option that a setting is declared as."""
    option, name = declared(setting), setting.name.replace("_", "-")
    # None where something else stands in for what is left open, or would keep it from having an effect
    left_open = setting in fields(Recipe) or option.needs
    default = None if left_open else setting.default
    if setting.type in ("bool", "bool | None"):
        add_switch(group, name, option.explanation, default)
        return
    about = {"type": option.kind, "choices": option.choices, "metavar": option.metavar}
    given = {key: value for key, value in about.items() if value}
    if option.alone is not None:
        given |= {"nargs": "?", "const": option.alone}
    added = group.add_argument(f"--{name}", default=default, help=option.explanation, **given)
    if option.suggested:
        add_completer(added, lambda **_: option.suggested)


def main(arguments: Sequence[str] | None = None, prog: str = PROG) -> int:
    """Parse, train, and say what came out.

    Args:
        arguments: the command line; None takes the process's own.
        prog: what the user has called.

    Returns:
        The exit code: 0; 1 if the training had to stop, or has diverged; or 128 + the number of the
        signal by which it was told to end.
    """
    with Interruption() as interruption:
        try:
            words = sys.argv[1:] if arguments is None else arguments
            return run(make_parser(prog), words, interruption)
        except Interrupted as interrupted:
            if is_first_of_node():  # of several processes, all of which have been told
                print(farewell(interrupted, prog), file=sys.stderr)
            return interrupted.exit_code


def run(parser: OneLineParser, arguments: Sequence[str], interruption: Interruption) -> int:
    given = parser.parse_args(arguments)
    if not given.print_config and "LOCAL_RANK" not in os.environ:  # of another process of this run
        print(f"{subject(given)}: loading torch", flush=True)
    bound_spinning()
    try:
        settings = settings_of(parser, arguments, interruption)
    except (NoRunError, SettingsError) as error:
        parser.error(str(error))

    from ansnet.compatibility import lightning
    from ansnet.data import DataError
    from ansnet.models import NotationError, UnknownModelError
    from ansnet.training.machine import complete_by_device
    from ansnet.training.recording import UnwrittenError
    from ansnet.training.repeat import repeat
    from ansnet.training.run import train
    from ansnet.training.stopped import TrainingStopped

    try:
        if given.print_config:
            print(as_yaml(complete_by_device(settings), given.repeat), end="")
            return 0
        if given.repeat == 1:
            outcome: Any = train(settings, interruption)
        else:
            outcome = repeat(settings, given.repeat, interruption)
    except (DataError, NotationError, SettingsError, UnknownModelError) as error:
        parser.error(str(error))
    except TrainingStopped as stopped:
        if stopped.is_told:
            sys.stdout.flush()
            print(f"{parser.prog}: {stopped}", file=sys.stderr)
        return stopped.exit_code
    except UnwrittenError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # whoever read what is printed has read enough
        raise
    except OSError as error:  # of a file that nothing else has thought of
        parser.error(told(error))
    lightning.utilities.rank_zero_only(print)(outcome)
    return int(outcome.exit_code)


def subject(given: Any) -> str:
    """What is to be trained, as far as it is known before anything is loaded."""
    if given.resume is not None:
        return f"--resume {given.resume}"
    return f"{given.model} on {given.dataset}"


def settings_of(
    parser: OneLineParser, arguments: Sequence[str], interruption: Interruption
) -> Settings:
    """The settings of a command line: with ``--resume``, those of the checkpoint but for what is given.

    Raises:
        SettingsError: see `Settings`.
        NoRunError: there is no run to go on with.
    """
    given = vars(parser.parse_args(arguments))
    if given["resume"] is None:
        return Settings.complete(given, parser.options_in(arguments))
    if not given["resume"]:
        raise SettingsError(
            "--resume= has nothing after it; name a run, or leave the = out for the last"
        )
    if given["repeat"] > 1:
        raise SettingsError(
            f"--repeat {given['repeat']} cannot go on from --resume {given['resume']}, which is of one "
            "seed; leave one of them out"
        )
    try:
        checkpoint = find_resumable(given["resume"], Path(given["log_dir"]))
    except NoRunError as error:
        raise NoRunError(f"--resume {shortened(given['resume'])}: {error}") from error
    interruption.checkpoint = checkpoint

    from ansnet.training.resume import settings_from

    names = {setting.name for setting in fields(Settings)} - {"resume"}
    by_hand = vars(parser.parse_args(arguments, defaults=False))
    chosen = {name: value for name, value in by_hand.items() if name in names and value is not None}
    return settings_from(str(checkpoint), chosen, parser.options_in(arguments))


def farewell(interrupted: Interrupted, prog: str) -> str:
    """What a run says that has been told to end."""
    lines = [f"ended by {interrupted.name}" + (f" in {interrupted.done}" if interrupted.done else "")]
    if interrupted.is_complete:
        lines[0] += f"; all epochs are trained, and recorded in {interrupted.log_dir}"
    elif interrupted.checkpoint is None:
        lines[0] += "; nothing was trained that could be gone on from"
    if interrupted.log_dir is not None and (interrupted.log_dir / "curves.png").is_file():
        lines.append(f"curves       {interrupted.log_dir / 'curves.png'}")
    if interrupted.checkpoint is not None and not interrupted.is_complete:
        lines.append(f"go on with   {prog} --resume {quote(str(interrupted.checkpoint))}")
    if interrupted.left:
        lines.append(f"left out     {interrupted.left}")
    return "\n".join(lines)


def as_yaml(settings: Settings, repeat: int) -> str:
    """All settings that are not left open, as a file for ``--config``."""
    import yaml

    chosen = {name: value for name, value in asdict(settings).items() if value is not None}
    if repeat > 1:
        chosen["repeat"] = int(repeat)
    text = str(yaml.safe_dump(chosen, sort_keys=False, allow_unicode=True))
    return text if can_show(text) else str(yaml.safe_dump(chosen, sort_keys=False))


if __name__ == "__main__":
    sys.exit(main())
