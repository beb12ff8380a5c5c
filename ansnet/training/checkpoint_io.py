"""Checkpoints that are written whole or not at all, whatever file system the run's folder is on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ansnet.compatibility import lightning
from ansnet.files import remove_unfinished, whole


class WholeCheckpointIO(lightning.plugins.TorchCheckpointIO):
    """Writes a checkpoint beside where it is to be, and then gives it its name (`ansnet.files`).

    Lightning's own one holds it in memory a second time, and writes it to the folder for temporary
    files first. From there it has to be copied if that is another file system's, and a kill in the
    copy leaves half of it.

    It makes the folder of the checkpoints, but not that of the run: a run whose folder is gone has lost
    its record. Before the first checkpoint, it removes from the folder what a killed run has left.
    """

    def __init__(self) -> None:
        self.folders: set[Path] = set()

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: what `torch.save` takes.
            path: where to; what is there stays until all of the new one is on the disk.
            storage_options: must be None, as with Lightning's own one.

        Raises:
            OSError: it cannot be written; what was there is there.
            TypeError: there are ``storage_options``.
        """
        if storage_options is not None:
            raise TypeError(
                f"storage_options {storage_options!r}: a local file has none; leave them out"
            )
        path = Path(path)
        path.parent.mkdir(exist_ok=True)
        if path.parent not in self.folders:
            self.folders.add(path.parent)
            remove_unfinished(path.parent)
        with whole(path) as unfinished, unfinished.open("wb") as file:
            torch.save(checkpoint, file)
