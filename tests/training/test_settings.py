"""`ansnet.training.settings`."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

import pytest

from ansnet.commands.train import make_parser
from ansnet.training.options import flag
from ansnet.training.recipes import (
    NEWCOMER,
    NOTATION,
    OPTIMIZERS,
    RESNET9,
    VGG7_FAST,
    VGG7BN,
    recommended_recipe,
)
from ansnet.training.settings import Settings, SettingsError, takes_effect


def completed(**given: Any) -> Settings:
    """What the command line with these options makes of them."""
    arguments = [word for name, value in given.items() for word in flag(name, value).split(" ", 1)]
    return Settings.complete(vars(make_parser().parse_args(arguments)))


def test_the_recipe_stands_in_for_what_is_left_open() -> None:
    settings = completed(model="vgg7", batch_size=7)
    assert settings.batch_size == 7
    assert settings == replace(completed(model="vgg7"), batch_size=7)
    for model, recipe in (("vgg7", VGG7_FAST), ("vgg7bn", VGG7BN), ("resnet9", RESNET9)):
        recommended = asdict(completed(model=model))
        assert recommended == {**recommended, **asdict(recipe)}
    assert completed(model="resnet9").augment
    assert not completed(model="resnet9", augment=False).augment


def test_a_network_in_notation_has_a_recipe_and_so_has_shapes10() -> None:
    network = completed(model="CR(4), M(32), L(10)")
    assert (network.max_epochs, network.bias_lr_factor) == (NOTATION.max_epochs, 1.0)
    assert completed(model="vgg7", dataset="shapes10").max_epochs == NEWCOMER.max_epochs


def test_what_goes_with_another_optimizer_than_the_recipes_is_its_own() -> None:
    assert (completed(optimizer="sgd").lr, completed(optimizer="sgd").momentum) == (0.01, 0.9)
    assert completed(optimizer="adamw").weight_decay == 0.01
    assert completed(optimizer="adam", lr=0.5).lr == 0.5
    assert completed(model="vgg7", optimizer="adam").lr == 1e-3
    muon = completed(dataset="shapes10", optimizer="muon")
    assert (muon.lr, muon.momentum) == (0.1, 0.6)
    for optimizer in OPTIMIZERS:
        assert completed(optimizer=optimizer, dataset="shapes10").optimizer == optimizer


def test_shapes10_is_trained_by_nothing_but_adam() -> None:
    assert asdict(recommended_recipe("vgg7", "shapes10")) == {
        "max_epochs": 2,
        "batch_size": 32,
        "optimizer": "adam",
        "lr": 5e-4,
        "bias_lr_factor": 1.0,
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 0.0,
        "decay_biases": False,
        "schedule": "constant",
        "warmup": 0.0,
        "label_smoothing": 0.0,
        "augment": False,
        "flip": "random",
        "border": "black",
        "cutout": 0,
        "identity_init": False,
        "test_time_flip": False,
        "test_time_shift": False,
    }


def test_whether_an_option_has_an_effect_hangs_on_its_own_conditions() -> None:
    values = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "augment": True}
    effective = {"lr", "momentum", "flip", "border", "cutout"}
    for option in (*effective, "nesterov", "decay_biases"):
        assert takes_effect(option, values) == (option in effective)
    assert not takes_effect("momentum", {**values, "optimizer": "adam"})
    assert takes_effect("nesterov", {**values, "momentum": 0.9})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"optimizer": "adam", "momentum": 0.5},
            "--momentum 0.5 has no effect with --optimizer adam; add --optimizer sgd or leave it out",
        ),
        (
            {"optimizer": "muon", "nesterov": True},
            "--nesterov has no effect with --optimizer muon; add --optimizer sgd or leave it out",
        ),
        (
            {"optimizer": "sgd", "momentum": 0.0, "nesterov": True},
            "--nesterov has no effect with --momentum 0.0; add --momentum 0.9 or leave it out",
        ),
        (
            {"weight_decay": 0.0, "decay_biases": True},
            "--decay-biases has no effect with --weight-decay 0.0; add --weight-decay 0.0005",
        ),
        (
            {"augment": False, "cutout": 8},
            "--cutout 8 has no effect with --no-augment; add --augment or leave it out",
        ),
        (
            {"augment": False, "flip": "random"},
            "--flip random has no effect with --no-augment; add --augment or leave it out",
        ),
        (
            {"augment": False, "border": "black"},
            "--border black has no effect with --no-augment; add --augment or leave it out",
        ),
    ],
)
def test_an_option_that_another_keeps_from_having_an_effect_is_refused(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        completed(**given)


def test_what_is_switched_off_needs_nothing() -> None:
    assert completed(model="resnet9", augment=False).cutout == RESNET9.cutout
    assert completed(optimizer="muon", nesterov=False).nesterov is False
    assert completed(augment=False, cutout=0).cutout == 0


def test_what_a_file_sets_without_effect_is_not_refused() -> None:
    given = {"model": "resnet9", "dataset": "cifar10", "augment": False, "cutout": 8}
    assert Settings.complete(given, asked_for=["augment"]).cutout == 8
    with pytest.raises(SettingsError, match="--cutout 8 has no effect"):
        Settings.complete(given, asked_for=["augment", "cutout"])


def test_another_optimizer_does_not_take_the_recipes_factor() -> None:
    assert completed(model="vgg7bn").bias_lr_factor == VGG7BN.bias_lr_factor > 1
    assert completed(model="vgg7bn", optimizer="adam").bias_lr_factor == 1
    assert completed(model="vgg7bn", optimizer="sgd", bias_lr_factor=3.0).bias_lr_factor == 3


def test_numbers_are_of_pythons_own_types() -> None:
    settings = completed(model="resnet9", lr=0.5, batch_size=7, warmup=0.1, augment=True)
    assert {type(value) for value in asdict(settings).values()} == {str, int, float, bool, type(None)}


def test_the_data_folder_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSNET_DATA_DIR", "/somewhere")
    assert completed().data_dir == "/somewhere"
    assert completed(data_dir="here").data_dir == "here"
    monkeypatch.delenv("ANSNET_DATA_DIR")
    assert completed().data_dir == "data"
