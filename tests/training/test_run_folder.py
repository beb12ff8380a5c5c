"""`ansnet.training.run_folder`: each run has a folder of its own, whenever it begins."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from lightning_utilities.core.rank_zero import rank_zero_only

from ansnet.training.build import make_trainer
from ansnet.training.run_folder import RunBoard, RunFolder, RunTable
from tests.training.small import small_settings


def test_nothing_is_made_before_something_is_recorded(tmp_path: Path) -> None:
    trainer = make_trainer(small_settings(tmp_path / "logs"))
    assert list(tmp_path.iterdir()) == []
    for logger in trainer.loggers:
        logger.log_hyperparams({"batch_size": 50})
    folder = tmp_path / "logs" / "notation" / "version_0"
    assert [logger.version for logger in trainer.loggers] == ["version_0"] * 2
    assert {trainer.log_dir, *(str(getattr(each, "log_dir")) for each in trainer.loggers)} == {  # noqa: B009
        str(folder)
    }
    assert yaml.safe_load((folder / "hparams.yaml").read_text()) == {"batch_size": 50}
    assert [path.name for path in folder.iterdir()] == ["hparams.yaml"]


def test_of_several_processes_only_the_first_makes_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    folder = RunFolder(tmp_path, "vgg7")
    for logger in (RunBoard(folder), RunTable(folder)):
        assert logger.version == folder.version
        logger.log_hyperparams({"batch_size": 50})
    assert list(tmp_path.iterdir()) == []


def test_a_place_with_signs_that_a_shell_would_replace_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder("~/$HOME", "vgg7")
    assert RunBoard(folder).log_dir == RunTable(folder).log_dir == "~/$HOME/vgg7/version_0"
    assert (tmp_path / "~" / "$HOME" / "vgg7" / "version_0").is_dir()
