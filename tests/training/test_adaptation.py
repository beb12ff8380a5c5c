"""`ansnet.training.adaptation`, and what the command line makes of other data sets than CIFAR-10."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansnet.training.adaptation import is_large
from ansnet.training.settings import Settings, SettingsError


def folder(path: Path, *classes: str, count: int) -> str:
    for name in classes:
        (path / name).mkdir()
        for i in range(count):
            (path / name / f"{i}.png").touch()
    return f"folder:{path}"


def completed(dataset: str, **given: Any) -> Settings:
    return Settings.complete({"model": "resnet9", "dataset": dataset, **given})


def test_digits_are_shown_without_mirror_images() -> None:
    svhn, cifar10 = completed("svhn"), completed("cifar10")
    assert (svhn.flip, svhn.test_time_flip, svhn.test_time_shift) == ("none", False, True)
    assert (cifar10.flip, cifar10.test_time_flip) == ("alternating", True)
    assert svhn.max_epochs == cifar10.max_epochs
    asked_for = completed("svhn", flip="random", test_time_flip=True)
    assert (asked_for.flip, asked_for.test_time_flip) == ("random", True)


def test_who_wants_no_flips_gets_none_in_validation_either() -> None:
    assert not completed("cifar10", flip="none").test_time_flip
    assert completed("cifar10", flip="none", test_time_flip=True).test_time_flip
    # where nothing is augmented, there is nothing to switch off, but at test time
    assert not Settings.complete({"model": "vgg7", "flip": "none"}).test_time_flip
    with pytest.raises(SettingsError, match="--flip random has no effect with --no-augment"):
        Settings.complete({"model": "vgg7", "flip": "random"})


def test_the_other_sets_have_cifar10s_recipes() -> None:
    for dataset in ("cifar100", "fashionmnist"):
        assert completed(dataset) == replace(completed("cifar10"), dataset=dataset)


@pytest.mark.parametrize(
    ("count", "batch_size", "epochs"),
    [
        (6, 16, 50),  # 10 to train: a step an epoch, as often as it may be
        (100, 16, 20),  # 160: ten steps
        (500, 40, 12),  # 800: twenty steps; ResNet9 has twelve epochs anyway
    ],
)
def test_few_pictures_make_smaller_batches_and_more_epochs(
    tmp_path: Path, count: int, batch_size: int, epochs: int
) -> None:
    settings = completed(folder(tmp_path, "cat", "dog", count=count))
    assert (settings.batch_size, settings.max_epochs) == (batch_size, epochs)
    assert (settings.flip, settings.test_time_flip) == ("alternating", True)
    assert not is_large(settings.dataset)
    assert completed(settings.dataset, batch_size=500, max_epochs=1).batch_size == 500


def test_a_folder_of_digits_is_not_mirrored(tmp_path: Path) -> None:
    settings = completed(folder(tmp_path, "0", "1", count=2))
    assert (settings.flip, settings.test_time_flip) == ("none", False)


def test_a_folder_that_is_none_is_refused_as_a_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such folder"):
        completed(f"folder:{tmp_path / 'missing'}")
