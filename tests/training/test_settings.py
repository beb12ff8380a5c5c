"""`ansnet.training.settings`."""

from __future__ import annotations

import pytest

from ansnet.training.settings import Settings, SettingsError


def test_the_recipe_stands_in_for_what_is_left_open() -> None:
    settings = Settings.complete({"model": "vgg7", "dataset": "cifar10", "batch_size": 7})
    assert (settings.max_epochs, settings.batch_size, settings.augment) == (6, 7, False)
    assert (settings.optimizer, settings.lr, settings.weight_decay) == ("adam", 5e-4, 0)
    assert Settings.complete({"model": "resnet9", "dataset": "cifar10"}).augment
    assert (
        Settings.complete({"model": "resnet9", "dataset": "cifar10", "augment": False}).augment is False
    )


def test_the_learning_rate_goes_with_the_optimizer() -> None:
    given = {"model": "vgg7", "dataset": "cifar10", "optimizer": "sgd"}
    assert Settings.complete(given).lr == 0.01
    assert Settings.complete({**given, "lr": 0.5}).lr == 0.5


def test_momentum_without_sgd_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"--momentum 0.5 has no effect with --optimizer adam"):
        Settings.complete({"model": "vgg7", "dataset": "cifar10", "momentum": 0.5})


def test_the_data_folder_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSNET_DATA_DIR", "/somewhere")
    assert Settings.complete({"model": "vgg7", "dataset": "cifar10"}).data_dir == "/somewhere"
    given = {"model": "vgg7", "dataset": "cifar10", "data_dir": "here"}
    assert Settings.complete(given).data_dir == "here"
    monkeypatch.delenv("ANSNET_DATA_DIR")
    assert Settings.complete({"model": "vgg7", "dataset": "cifar10"}).data_dir == "data"
