"""`ansnet.training.batch_of_one`: batches of one image, and batch normalisation over one value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansnet.training.batch_of_one import check_batch_of_one
from ansnet.training.run import train
from ansnet.training.settings import SettingsError
from tests.training.small import few_shapes, small_settings


@pytest.mark.parametrize("given", [{"batch_size": 59}, {"batch_size": 59, "overfit_batches": 2}])
def test_a_single_image_that_is_left_joins_the_batch_before(
    given: dict[str, Any], tmp_path: Path
) -> None:
    with few_shapes(60, 20):
        settings = small_settings(tmp_path, model="M(4), LNR(8), L(10)", max_epochs=1, **given)
        assert len(train(settings).history) == 2


@pytest.mark.parametrize("model", ["M(4), LNR(8), L(10)", "M(32), CNR(4), L(10)"])
def test_batches_of_one_are_refused_where_nothing_is_left_to_normalise(
    model: str, tmp_path: Path
) -> None:
    with few_shapes(60, 20), pytest.raises(SettingsError, match=r"^--batch-size 1: a batch norm"):
        train(small_settings(tmp_path, model=model, batch_size=1))
    with few_shapes(1, 1), pytest.raises(SettingsError, match=r"^a device has one image .*add images"):
        train(small_settings(tmp_path, model=model, batch_size=50))
    assert not list(tmp_path.rglob("*.ckpt"))


def test_batches_of_one_are_fine_elsewhere(tmp_path: Path) -> None:
    with few_shapes(3, 2):
        settings = small_settings(tmp_path, model="CNR(2), M(16), L(10)", batch_size=1, max_epochs=1)
        assert len(train(settings).history) == 2


def test_batches_of_one_are_fine_where_processes_normalise_together(tmp_path: Path) -> None:
    model = "M(4), LNR(8), L(10)"
    settings = small_settings(tmp_path, model=model, batch_size=1, devices=2, sync_batchnorm=True)
    check_batch_of_one(settings, 10, images=30)
    with pytest.raises(SettingsError, match=r"^--batch-size 1: a batch normalisation"):
        check_batch_of_one(replace(settings, sync_batchnorm=False), 10, images=30)
