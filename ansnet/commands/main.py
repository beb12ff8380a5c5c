# PYTHON_ARGCOMPLETE_OK
"""``python -m ansnet``: which command is meant, and nothing loaded that another one needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from ansnet.commands.completion import complete
from ansnet.commands.terminal import survive_any_terminal

COMMANDS = {
    "train": "train a network, as train.py does",
    "find-lr": "find a learning rate by a hundred steps at rising ones",
    "evaluate": "what a trained network gets right, and what it takes for what",
    "predict": "what is on a picture, and where the network has looked",
    "compare": "recorded runs: which settings differ, curves, figures with ±",
    "export": "a trained network in a file for other programs, checked",
    "models": "the networks that have a name: size, and the accuracy recorded",
    "summary": "a network's layers: shapes, parameters, multiply-adds",
    "check": "run the battery on a differentiable function",
    "scan": "find the autograd.Functions of a package, try them, write their tests",
    "capabilities": "the battery's table of ansnet's own operations",
}
"""Name, which is that of its module in `ansnet.commands`, and what it does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Hand the command line to the command that it names, and return the exit code."""
    survive_any_terminal()
    complete(COMMANDS)
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(usage(), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    name, *rest = words
    if name not in COMMANDS:
        nearest = get_close_matches(name, COMMANDS, n=1)
        advice = f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(COMMANDS)}"
        print(f"python -m ansnet: error: unknown command {name!r}; {advice}", file=sys.stderr)
        return 2
    from ansnet.commands.mistake import told

    command = import_module(f"ansnet.commands.{name.replace('-', '_')}")
    try:
        code: int | None = command.main(rest)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nended by Ctrl-C", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read it, as head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # of a file that no command has thought of
        print(f"python -m ansnet {name}: error: {told(error)}", file=sys.stderr)
        return 2
    return code or 0


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {purpose}" for name, purpose in COMMANDS.items()]
    return "\n".join(
        [
            "usage: python -m ansnet COMMAND [options]",
            "",
            *lines,
            "",
            "python -m ansnet COMMAND --help lists the options of one.",
        ]
    )
