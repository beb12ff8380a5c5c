"""The option that says how `torch.compile` compiles."""

from __future__ import annotations

from argparse import ArgumentParser

from ansnet.commands.mistake import Mistake

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
        known = torch.compiler.list_backends()  # but for those that look for faults
        raise Mistake(f"--backend {name}: torch.compile knows {', '.join(known)}; name one of them")
