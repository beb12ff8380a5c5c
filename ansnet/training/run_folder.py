"""The folder of a run, ``LOG_DIR/NETWORK/version_N``, which belongs to whoever has made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning_utilities.core.rank_zero import rank_zero_only

from ansnet.compatibility import lightning
from ansnet.files import take_version, whole
from ansnet.training.board.logger import GroupedLogger
from ansnet.training.record import Table

ELSEWHERE = "version_of_the_first_process"


class RunFolder:
    """A folder ``version_N`` that nobody else has, made when somebody asks for it first.

    To make a folder succeeds once, so that of runs that begin at once each has its own. Of the
    processes of one run only the first makes one; Lightning has the others ask it for the name, who
    would otherwise go by `ELSEWHERE`.

    Args:
        log_dir: where runs are recorded; made if need be.
        name: of what is trained; a folder in it.
    """

    def __init__(self, log_dir: str | Path, name: str) -> None:
        self.log_dir = Path(log_dir)
        self.name = name
        self.taken: str | None = None

    @property
    def version(self) -> str:
        """The folder's name.

        Raises:
            OSError: it cannot be made.
        """
        if getattr(rank_zero_only, "rank", 0) != 0:
            return ELSEWHERE
        if self.taken is None:
            self.taken = take_version(self.log_dir / self.name)
        return self.taken

    @property
    def path(self) -> Path:
        return self.log_dir / self.name / self.version


class RunBoard(GroupedLogger):
    """The TensorBoard events of a run, in its folder."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(str(folder.log_dir), folder.name, default_hp_metric=False)
        self.folder = folder

    @property
    def version(self) -> str:
        return self.folder.version

    @property
    def log_dir(self) -> str:
        return str(self.folder.path)


class RunTable(Table):
    """``metrics.csv`` and ``hparams.yaml`` of a run, in its folder."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(str(folder.log_dir), folder.name)
        self.folder = folder

    @property
    def version(self) -> str:
        return self.folder.version

    @rank_zero_only
    def log_hyperparams(self, params: Any = None, *_: Any, **__: Any) -> None:
        """Write ``hparams.yaml``, whole or not at all."""
        experiment: Any = self.experiment
        experiment.hparams.update(params or {})
        with whole(self.folder.path / experiment.NAME_HPARAMS_FILE) as unfinished:
            lightning.core.saving.save_hparams_to_yaml(unfinished, experiment.hparams)
