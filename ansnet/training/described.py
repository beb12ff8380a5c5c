"""What ``hparams.yaml`` tells of a run besides its options; and of what version, and which commit.

Loads nothing heavy: the command line passes these names over where such a file is its ``--config``.
"""

from __future__ import annotations

import re
from pathlib import Path

DESCRIBED = (
    "origin",
    "precision_measured",
    "notation",
    "parameters",
    "machine",
    "cores",
    "cpu_capability",
    "gpu",
    "python",
    "torch",
    "torchvision",
    "lightning",
    "ansnet",
    "commit",
)
"""The keys that `ansnet.training.report.describe_run` adds to the options."""

ROOT = Path(__file__).parents[2]


def commit(checkout: Path = ROOT) -> str | None:
    """The hash of the commit that is checked out, or None where this is no checkout of a repository.

    It is read from the repository's files, without git: ``.git`` is a folder, or a file that names it;
    its ``HEAD`` is a hash, or names a branch, whose hash is in a file of its own or in ``packed-refs``
    (*gitrepository-layout*). What was changed since, it does not tell.
    """
    try:
        folder = checkout / ".git"
        if folder.is_file():  # a worktree
            folder = checkout / folder.read_text("utf-8").removeprefix("gitdir:").strip()
        head = (folder / "HEAD").read_text("utf-8").strip()
        shared = folder / "commondir"
        common = folder / shared.read_text("utf-8").strip() if shared.is_file() else folder
        found = resolved(head, folder, common)
    except (OSError, ValueError):
        return None
    return found if found is not None and re.fullmatch(r"[0-9a-f]{40,64}", found) else None


def resolved(head: str, folder: Path, common: Path) -> str | None:
    """The hash that ``HEAD`` stands for."""
    if not head.startswith("ref:"):
        return head
    name = head.removeprefix("ref:").strip()
    for place in (folder / name, common / name):
        if place.is_file():
            return place.read_text("utf-8").strip()
    packed = common / "packed-refs"
    if packed.is_file():
        for line in packed.read_text("utf-8").splitlines():
            if line.endswith(f" {name}"):
                return line.split()[0]
    return None
