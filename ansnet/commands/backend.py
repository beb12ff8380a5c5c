"""The option that says how `torch.compile` compiles."""

from __future__ import annotations

from argparse import ArgumentParser
from difflib import get_close_matches

from ansnet.commands.mistake import Mistake, shortened

USUAL = ("inductor", "aot_eager", "eager")  # known without loading the compiler, which takes seconds


def add_backend(parser: ArgumentParser, default: str = "inductor") -> None:
    parser.add_argument(
        "--backend",
        default=default,
        metavar="NAME",
        help=f"of torch.compile: inductor, which needs a C++ compiler, or aot_eager, which is quicker "
        f"(default: {default})",
    )


def check_backend(name: str) -> None:
    """Refuse a backend that `torch.compile` does not know.

    Raises:
        Mistake: naming those that it does.
    """
    if name in USUAL:
        return
    import torch

    if name not in torch.compiler.list_backends(exclude_tags=()):
        usual = [*USUAL, *torch.compiler.list_backends()]  # but for those that look for faults
        nearest = get_close_matches(name, torch.compiler.list_backends(exclude_tags=()), n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else "name one of them"
        known = ", ".join(dict.fromkeys(usual))
        raise Mistake(f"--backend {shortened(name)}: torch.compile knows {known}; {hint}")
