"""What a shell offers for a half-typed command line: commands, flags, their choices, runs and files.

The shell calls the command itself, with the line in variables, and it answers by the package
argcomplete, which the extra "completion" installs (``docs/commands.md``). The shell does so only where
a file begins with the words PYTHON_ARGCOMPLETE_OK.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace

ASKED = "_ARGCOMPLETE"
"""The variable by which the shell asks: the place of the command's name in the line, from 1."""


def complete(commands: Mapping[str, str]) -> None:
    """Answer the shell and leave the process, if it is the shell that asks, and argcomplete is there.

    Args:
        commands: names and what they do.
    """
    if ASKED not in os.environ:
        return
    try:
        import argcomplete
        from argcomplete.lexers import split_line
    except ModuleNotFoundError:  # in this environment, though the shell has it from another
        return
    from argparse import ArgumentParser

    *_, words, _ = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))
    place = int(os.environ[ASKED])
    name = words[place] if len(words) > place else ""
    if name in commands:
        os.environ[ASKED] = str(place + 1)  # what follows is the command's own
        module = import_module(f"ansnet.commands.{name.replace('-', '_')}")
        module.make_parser().parse_args([])  # which answers and leaves
    parser: Any = ArgumentParser(prog="ansnet")
    choices = parser.add_subparsers()
    for command, purpose in commands.items():
        choices.add_parser(command, help=purpose, add_help=False)
    argcomplete.autocomplete(parser, always_complete_options=False)


def complete_runs(prefix: str, parsed_args: Namespace, **_: Any) -> Iterable[str]:
    """Runs as they may be named, folders and checkpoints."""
    from pathlib import Path

    from argcomplete.completers import FilesCompleter

    log_dir = Path(getattr(parsed_args, "log_dir", None) or "lightning_logs")
    folders = sorted(folder for folder in log_dir.glob("*/*") if (folder / "metrics.csv").is_file())
    runs = [str(folder.relative_to(log_dir)) for folder in folders]
    yield from (name for name in (*(["last"] if runs else []), *runs) if name.startswith(prefix))
    yield from FilesCompleter(["ckpt"])(prefix)


def complete_models(**_: Any) -> Iterable[str]:
    """Names of models."""
    from ansnet.training.recipes import RECIPES

    return [*RECIPES]
