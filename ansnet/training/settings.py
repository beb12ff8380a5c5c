"""What a run is made of: the command line's values, completed by the recommended recipe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

DATASETS = ("cifar10", "shapes10")
OPTIMIZERS = ("adam", "sgd")
OPERATIONS = ("ansnet", "torch")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
COMPILATIONS = ("none", "operations", "network")
PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true")
DATA_DIR_VARIABLE = "ANSNET_DATA_DIR"


class SettingsError(ValueError):
    """Settings that cannot be carried out together or on this machine."""


@dataclass(frozen=True)
class Recipe:
    """The settings that a model is recommended to be trained with.

    The learning rate belongs to the optimizer of the recipe; see `default_learning_rate` for the
    other.
    """

    max_epochs: int
    batch_size: int
    augment: bool
    optimizer: str = "adam"
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0


NOTEBOOK = Recipe(max_epochs=6, batch_size=64, augment=False, lr=5e-4)
AUGMENTED = Recipe(max_epochs=12, batch_size=128, augment=True)
NEWCOMER = Recipe(max_epochs=2, batch_size=32, augment=False, lr=5e-4)

default_learning_rate = {"adam": 1e-3, "sgd": 0.01}


def recommended_recipe(model: str, dataset: str) -> Recipe:
    """The recipe that completes what the command line leaves open."""
    if dataset == "shapes10":
        return NEWCOMER
    return NOTEBOOK if model == "vgg7" else AUGMENTED


@dataclass(frozen=True)
class Settings:
    """Everything that determines a run.

    The options of ``python train.py --help``, under the same names. None for ``precision`` or
    ``compile`` leaves it to the device (`ansnet.training.run.complete_by_device`).
    """

    model: str
    dataset: str
    data_dir: str
    mirror: str | None
    max_epochs: int
    batch_size: int
    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    augment: bool
    accelerator: str
    devices: int
    precision: str | None
    channels_last: bool
    compile: str | None
    seed: int
    ops: str
    log_dir: str
    resume: str | None

    @classmethod
    def complete(cls, given: Mapping[str, Any]) -> Settings:
        """Settings from what the user gave, the recommended recipe standing in for None.

        Args:
            given: the values by name; a missing one counts as None.

        Raises:
            SettingsError: a momentum was given for Adam, which has none.
        """
        values: dict[str, Any] = {field.name: given.get(field.name) for field in fields(cls)}
        recipe = recommended_recipe(values["model"], values["dataset"])
        if values["optimizer"] not in (None, recipe.optimizer) and values["lr"] is None:
            values["lr"] = default_learning_rate[values["optimizer"]]
        for field in fields(recipe):
            if values[field.name] is None:
                values[field.name] = getattr(recipe, field.name)
        if given.get("momentum") is not None and values["optimizer"] != "sgd":
            raise SettingsError(
                f"--momentum {given['momentum']} has no effect with --optimizer "
                f"{values['optimizer']}; add --optimizer sgd or leave it out"
            )
        if values["data_dir"] is None:
            values["data_dir"] = os.environ.get(DATA_DIR_VARIABLE, "data")
        return cls(**values)
