"""What a model is recommended to be trained with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from ansnet.training.options import Need, option

OPTIMIZERS = ("adam", "adamw", "sgd", "muon")
SCHEDULES = ("constant", "linear", "cosine")
FLIPS = ("random", "alternating", "none")
BORDERS = ("black", "reflect")
# of an optimizer, what it keeps for each number of a weight, by the names in a checkpoint
MOMENTS = {
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "sgd": ("momentum_buffer",),
    "muon": ("momentum_buffer",),
}
AUGMENTED = Need("augment", bool, True)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings that a model is recommended to be trained with.

    The sources are named where each is carried out: `ansnet.data.augmentation.Augmentation`,
    `ansnet.training.initialization`, `ansnet.training.muon`, `ansnet.training.schedule`,
    `ansnet.training.classifier`, `ansnet.training.views`. What the recipes below reached, and others,
    are in ``configs/``.
    """

    max_epochs: int = option("training", "epochs to train", kind=PositiveInt)
    batch_size: int = option("training", "images a step and device", kind=PositiveInt, fixed=True)
    optimizer: str = option(
        "training",
        "adamw's and muon's weight decay is decoupled",
        choices=OPTIMIZERS,
        fixed=True,
    )
    lr: float = option(
        "training",
        "learning rate, at its highest",
        kind=PositiveFloat,
        needs=[Need("find_lr", lambda finds: not finds, False)],
    )
    bias_lr_factor: float = option(
        "training",
        "what that of biases and normalisations is multiplied by",
        1.0,
        kind=NonNegativeFloat,
    )
    momentum: float = option(
        "training",
        "of sgd and muon",
        0.9,
        kind=NonNegativeFloat,
        needs=[Need("optimizer", lambda optimizer: optimizer in ("sgd", "muon"), "sgd")],
    )
    nesterov: bool = option(
        "training",
        "Nesterov's momentum, for sgd",
        False,
        needs=[
            Need("optimizer", lambda optimizer: optimizer == "sgd", "sgd"),
            Need("momentum", bool, 0.9),
        ],
    )
    weight_decay: float = option(
        "training", "pull of the weights towards 0", 0.0, kind=NonNegativeFloat
    )
    decay_biases: bool = option(
        "training",
        "biases and normalisations decay as well",
        False,
        needs=[Need("weight_decay", bool, 5e-4)],
    )
    schedule: str = option(
        "training",
        "how the learning rate falls to 0, step by step",
        "constant",
        choices=SCHEDULES,
    )
    warmup: float = option(
        "training", "share of the training in which it rises before", 0.0, kind=ClosedUnitInterval
    )
    label_smoothing: float = option(
        "training", "share of the target for all classes", 0.0, kind=ClosedUnitInterval
    )
    augment: bool = option(
        "data",
        "flip and crop the training images at random",
        False,
        needs=[Need("overfit_batches", lambda few: few is None, None)],
    )
    flip: str = option(
        "data",
        "flip an image by chance, in every second epoch, or never",
        "random",
        choices=FLIPS,
        needs=[AUGMENTED],
    )
    border: str = option(
        "data",
        "what a crop takes beyond the image",
        "black",
        choices=BORDERS,
        needs=[AUGMENTED],
    )
    cutout: int = option(
        "data",
        "side of the square painted over, in pixels; 0 for none",
        0,
        kind=NonNegativeInt,
        needs=[AUGMENTED],
    )
    identity_init: bool = option(
        "training",
        "convolutions start with filters that copy their channels",
        False,
        fixed=True,
    )
    test_time_flip: bool = option(
        "training", "at the end, validate also by images and their mirror images", False
    )
    test_time_shift: bool = option(
        "training", "at the end, validate also by images shifted by a pixel", False
    )


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
RECIPES = {"vgg7": VGG7_FAST, "vgg7bn": VGG7BN, "resnet9": RESNET9}
# of a network that nobody has tried: one of 8 and 16 filters learns less at a factor of 64
NOTATION = replace(VGG7BN, bias_lr_factor=1.0)

# what goes with an optimizer that is not the recipe's
OPTIMIZER_DEFAULTS: dict[str, dict[str, Any]] = {
    "adam": {"lr": 1e-3},
    "adamw": {"lr": 1e-3, "weight_decay": 0.01},
    "sgd": {"lr": 0.01, "momentum": 0.9},
    "muon": {"lr": 0.1, "momentum": 0.6},
}


def recommended_recipe(model: str, dataset: str) -> Recipe:
    """The recipe that completes what the command line leaves open."""
    if dataset == "shapes10":
        return NEWCOMER
    recipe = RECIPES.get(model, NOTATION)
    if dataset == "cifar10":
        return recipe
    from ansnet.training.adaptation import adapted

    return adapted(recipe, dataset)


def numbers_kept(optimizer: str, momentum: float) -> int:
    """How many numbers an optimizer keeps for each one of a weight."""
    return 0 if optimizer == "sgd" and not momentum else len(MOMENTS[optimizer])
