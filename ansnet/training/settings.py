"""What a run is made of: the command line's values, completed by the recommended recipe."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

DATASETS = ("cifar10", "shapes10")
OPTIMIZERS = ("adam", "adamw", "sgd", "muon")
SCHEDULES = ("constant", "linear", "cosine")
FLIPS = ("random", "alternating")
BORDERS = ("black", "reflect")
OPERATIONS = ("ansnet", "torch")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
COMPILATIONS = ("none", "operations", "network")
PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true")
DATA_DIR_VARIABLE = "ANSNET_DATA_DIR"


class SettingsError(ValueError):
    """Settings that cannot be carried out together or on this machine."""


@dataclass(frozen=True)
class Recipe:
    """The settings that a model is recommended to be trained with; `Settings` says what each means.

    The sources are named where each is carried out: `ansnet.data.augmentation.Augmentation`,
    `ansnet.training.initialization`, `ansnet.training.muon`, `ansnet.training.schedule`,
    `ansnet.training.classifier`, `ansnet.training.views`. What the recipes below reached, and others,
    are in ``configs/``.
    """

    max_epochs: int
    batch_size: int
    optimizer: str
    lr: float
    bias_lr_factor: float = 1.0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    decay_biases: bool = False
    schedule: str = "constant"
    warmup: float = 0.0
    label_smoothing: float = 0.0
    augment: bool = False
    flip: str = "random"
    border: str = "black"
    cutout: int = 0
    identity_init: bool = False
    test_time_flip: bool = False
    test_time_shift: bool = False


NEWCOMER = Recipe(max_epochs=2, batch_size=32, optimizer="adam", lr=5e-4)
VGG7_FAST = Recipe(
    max_epochs=2,
    batch_size=500,
    optimizer="muon",
    lr=0.1,
    momentum=0.6,
    schedule="linear",
    warmup=0.2,
    test_time_flip=True,
)
VGG7BN = replace(
    VGG7_FAST,
    max_epochs=10,
    label_smoothing=0.1,
    augment=True,
    border="reflect",
    bias_lr_factor=64.0,
    identity_init=True,
)
RESNET9 = replace(VGG7BN, max_epochs=12, flip="alternating", test_time_shift=True)
# of a network that nobody has tried: one of 8 and 16 filters learns less at a factor of 64
NOTATION = replace(VGG7BN, bias_lr_factor=1.0)

# what goes with an optimizer that is not the recipe's
OPTIMIZER_DEFAULTS: dict[str, dict[str, Any]] = {
    "adam": {"lr": 1e-3},
    "adamw": {"lr": 1e-3, "weight_decay": 0.01},
    "sgd": {"lr": 0.01, "momentum": 0.9},
    "muon": {"lr": 0.1, "momentum": 0.6},
}


class Condition(NamedTuple):
    """An option that does something only while another one has such a value, as ``remedy``."""

    option: str
    other: str
    is_met: Callable[[Any], bool]
    remedy: Any


CONDITIONS = (
    Condition("lr", "find_lr", lambda finds: not finds, False),
    Condition("momentum", "optimizer", lambda optimizer: optimizer in ("sgd", "muon"), "sgd"),
    Condition("nesterov", "optimizer", lambda optimizer: optimizer == "sgd", "sgd"),
    Condition("nesterov", "momentum", bool, 0.9),
    Condition("decay_biases", "weight_decay", bool, 5e-4),
    Condition("flip", "augment", bool, True),
    Condition("border", "augment", bool, True),
    Condition("cutout", "augment", bool, True),
)


def recommended_recipe(model: str, dataset: str) -> Recipe:
    """The recipe that completes what the command line leaves open."""
    if dataset == "shapes10":
        return NEWCOMER
    return {"vgg7": VGG7_FAST, "vgg7bn": VGG7BN, "resnet9": RESNET9}.get(model, NOTATION)


@dataclass(frozen=True, kw_only=True)
class Settings(Recipe):
    """Everything that determines a run: a recipe, and what it is carried out with and on.

    The options of ``python train.py --help``, under the same names. None for ``precision`` or
    ``compile`` leaves it to the device (`ansnet.training.run.complete_by_device`).
    """

    model: str
    dataset: str
    data_dir: str
    mirror: str | None
    accelerator: str
    devices: int
    precision: str | None
    channels_last: bool
    compile: str | None
    seed: int
    ops: str
    log_dir: str
    resume: str | None
    find_lr: bool

    @classmethod
    def complete(cls, given: Mapping[str, Any], asked_for: Collection[str] | None = None) -> Settings:
        """Settings from what the user gave, the recommended recipe standing in for None.

        Args:
            given: the values by name; a missing one counts as None.
            asked_for: names of those that the user gave by hand, and not by a file of settings, part of
                which may be without effect; None counts all as given by hand.

        Raises:
            SettingsError: an option was asked for that another one keeps from having an effect.
        """
        chosen = {field.name: plain(given.get(field.name)) for field in fields(cls)}
        recipe = recommended_recipe(str(chosen["model"]), str(chosen["dataset"]))
        optimizer = chosen["optimizer"] or recipe.optimizer
        if optimizer != recipe.optimizer:
            recipe = replace(recipe, bias_lr_factor=1.0, **OPTIMIZER_DEFAULTS[optimizer])
        values: dict[str, Any] = {
            **chosen,
            **asdict(recipe),
            "data_dir": os.environ.get(DATA_DIR_VARIABLE, "data"),
            "find_lr": False,
            **{name: value for name, value in chosen.items() if value is not None},
        }
        for option, other, is_met, remedy in CONDITIONS:
            by_hand = asked_for is None or option in asked_for
            # False and 0 only switch off what is off anyway
            if by_hand and chosen[option] and not is_met(values[other]):
                raise SettingsError(
                    f"{flag(option, chosen[option])} has no effect with {flag(other, values[other])}; "
                    f"add {flag(other, remedy)} or leave it out"
                )
        if values["find_lr"] and values["resume"]:
            raise SettingsError(
                f"--find-lr cannot search for a training that goes on with its own rate, that of "
                f"--resume {values['resume']}; leave one of them out"
            )
        if values["find_lr"] and (values["devices"] or 1) > 1:
            raise SettingsError(
                f"--find-lr searches on one device, and not with --devices {values['devices']}; search "
                "with --devices 1, and give what is found with --lr"
            )
        return cls(**values)


def takes_effect(option: str, values: Mapping[str, Any]) -> bool:
    """Whether the other values let an option do something, as far as `CONDITIONS` knows."""
    conditions = (condition for condition in CONDITIONS if condition.option == option)
    return all(condition.is_met(values.get(condition.other)) for condition in conditions)


def plain(value: Any) -> Any:
    """A number of a type of the command line's own as PyTorch's and YAML's readers know it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return float(value) if isinstance(value, float) else value


def flag(name: str, value: Any) -> str:
    """An option as the command line gives it."""
    words = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{words}" if value else f"--no-{words}"
    return f"--{words} {value}"
