"""What a run is made of: the command line's values, completed by the recommended recipe."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from math import isfinite
from typing import Any

from jsonargparse.typing import (
    NonNegativeFloat,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveFloat,
    PositiveInt,
    restricted_string_type,
)

from ansnet.training.datasets import DATASETS, FOLDER, dataset_name
from ansnet.training.options import Need, declared, flag, option
from ansnet.training.recipes import OPTIMIZER_DEFAULTS, RECIPES, Recipe, recommended_recipe

OPERATIONS = ("ansnet", "torch")
ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
COMPILATIONS = ("none", "operations", "network")
PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true")
STRATEGIES = ("auto", "ddp")
CLIPPINGS = ("norm", "value")
MID_EPOCH = "mid-epoch.ckpt"
# what a run goes on from; the first is there only while an epoch is going on, or was broken off
RESUMABLE = (MID_EPOCH, "last.ckpt")
DATA_DIR_VARIABLE = "ANSNET_DATA_DIR"
LARGEST_SEED = 2**32 - 1  # that numpy takes
MOST_THREADS = 1024  # a million are begun one by one for minutes, and none of them is of use

Duration = restricted_string_type("Duration", r"^\d+:[0-2]?\d:[0-5]?\d:[0-5]?\d$")


class SettingsError(ValueError):
    """Settings that cannot be carried out together or on this machine."""


@dataclass(frozen=True, kw_only=True)
class Settings(Recipe):
    """Everything that determines a run: a recipe, and what it is carried out with and on.

    Each field is declared as an option, and is one of ``python train.py``. None leaves ``precision``,
    ``compile``, ``sync_batchnorm`` to the device (`ansnet.training.machine.complete_by_device`).
    """

    model: str = option(
        "network",
        'vgg7, vgg7bn, resnet9, or a network in notation, as "CNR(32), M(2), M(16), L(10)"',
        "vgg7",
        suggested=tuple(RECIPES),
        fixed=True,
    )
    ops: str = option(
        "network",
        "build it from the documented formulas, or for comparison from torch.nn",
        "ansnet",
        choices=OPERATIONS,
    )
    dataset: str = option(
        "data",
        "cifar10, cifar100, svhn, fashionmnist; shapes10, drawn in memory without a download; or "
        "folder:PATH, your own pictures, one folder a class",
        "cifar10",
        kind=dataset_name,
        suggested=(*DATASETS, FOLDER),
        fixed=True,
    )
    data_dir: str = option(
        "data",
        f"folder with the data, or to download it to (otherwise ${DATA_DIR_VARIABLE}, otherwise data)",
        None,
        metavar="DIR",
        aside=True,
    )
    mirror: str | None = option(
        "data",
        "URL of the folder to download from, or of cifar-10-python.tar.gz itself",
        None,
        metavar="URL",
        aside=True,
    )
    find_lr: bool = option(
        "training",
        "find the learning rate by a hundred steps at rising ones, and train with it from the start",
        False,
        aside=True,  # a run that goes on has its rate, and does not search again
    )
    seed: int = option("training", "same seed, same run", 0, kind=NonNegativeInt, fixed=True)
    resume: str | None = option(
        "training",
        "go on with the last run, or a run, or a checkpoint, with its settings; those given beside it "
        "are changed from there on",
        None,
        metavar="RUN",
        alone="last",
        aside=True,
    )
    weights: str | None = option(
        "training",
        "begin with trained weights: pretrained for those that come with the model, a file of weights, "
        "or a checkpoint",
        None,
        metavar="WEIGHTS",
        fixed=True,
    )
    early_stopping: int | None = option(
        "training",
        "end when the validation accuracy has not risen for so many epochs",
        None,
        kind=PositiveInt,
        metavar="EPOCHS",
        aside=True,
    )
    max_time: str | None = option(
        "training",
        "end after so long, validated and saved",
        None,
        kind=Duration,
        metavar="DD:HH:MM:SS",
        aside=True,
    )
    ema: float | None = option(
        "training",
        "validate and keep the weights' exponential moving average, of such a decay, as 0.99",
        None,
        kind=OpenUnitInterval,
        metavar="DECAY",
    )
    gradient_clip_val: float | None = option(
        "training", "no gradient larger than this", None, kind=PositiveFloat, metavar="SIZE"
    )
    gradient_clip_algorithm: str = option(
        "training",
        "what is not to be larger: the norm of all gradients, or each value",
        "norm",
        choices=CLIPPINGS,
        needs=[Need("gradient_clip_val", bool, 1.0)],
    )
    accumulate_grad_batches: int = option(
        "training",
        "add the gradients of so many batches for a step",
        1,
        kind=PositiveInt,
        metavar="N",
        fixed=True,
    )
    accelerator: str = option(
        "machine",
        "what to train on; auto takes what the machine has",
        "auto",
        choices=ACCELERATORS,
    )
    devices: int = option(
        "machine",
        "how many of them, a process each; on a CPU, how many processes",
        1,
        kind=PositiveInt,
        fixed=True,
    )
    num_nodes: int = option(
        "machine",
        "on how many machines, with so many devices each",
        1,
        kind=PositiveInt,
        fixed=True,
    )
    strategy: str = option(
        "machine",
        "how several devices train one network: ddp, each by a part of the images of a step, and by "
        "the mean of their gradients; auto takes it for several",
        "auto",
        choices=STRATEGIES,
    )
    sync_batchnorm: bool | None = option(
        "machine",
        "on several devices, normalise by the images of all of them; by default on, but off with "
        "--ops torch on a CPU, where PyTorch has none",
        None,
    )
    threads: int | None = option(
        "machine",
        "threads on a CPU; by default as many as the process may use cores",
        None,
        kind=PositiveInt,
        metavar="N",
    )
    precision: str | None = option(
        "machine",
        "bits of the numbers; by default bf16-mixed on CUDA, and on a CPU with AMX where a step is "
        "measured to be quicker in it; elsewhere 32-true",
        None,
        choices=PRECISIONS,
    )
    channels_last: bool = option(
        "machine",
        "keep images and weights in memory with the channels of a pixel side by side",
        True,
    )
    compile: str | None = option(
        "machine",
        "generate code for nothing, for ansnet's operations, or for the whole network; by default "
        "network on CUDA, operations for many images on a CPU with a C++ compiler, otherwise none",
        None,
        choices=COMPILATIONS,
        needs=[Need("detect_anomaly", lambda detects: not detects, False)],
    )
    log_dir: str = option(
        "record", "where the run is recorded", "lightning_logs", metavar="DIR", aside=True
    )
    pictures_every: int | None = option(
        "record",
        "pictures and histograms for TensorBoard every so many epochs, 0 for none; by default as often "
        "as they take less than 2 % of the time",
        None,
        kind=NonNegativeInt,
        metavar="N",
        aside=True,
    )
    checkpoint_every: float = option(
        "record",
        "minutes between two checkpoints within an epoch; 0 for none",
        5.0,
        kind=NonNegativeFloat,
        metavar="MINUTES",
        aside=True,
    )
    wandb: bool = option("record", "record it with Weights & Biases as well", False, aside=True)
    mlflow: bool = option("record", "record it with MLflow as well", False, aside=True)
    limit_batches: int | None = option(
        "debugging",
        "train and validate by so many batches an epoch",
        None,
        kind=PositiveInt,
        metavar="N",
        fixed=True,
    )
    overfit_batches: int | None = option(
        "debugging",
        "train by the same few batches again and again, and validate by them: the loss should fall to "
        "almost 0",
        None,
        kind=PositiveInt,
        needs=[Need("limit_batches", lambda limit: limit is None, None)],
        metavar="N",
        fixed=True,
    )
    detect_anomaly: bool = option(
        "debugging",
        "stop at the first number that is not finite, and name the operation: slow",
        False,
        aside=True,
    )

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
        chosen = {setting.name: plain(given.get(setting.name)) for setting in fields(cls)}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        values = defaults(cls) | chosen
        recipe = recommended_recipe(values["model"], values["dataset"])
        optimizer = chosen.get("optimizer", recipe.optimizer)
        if optimizer != recipe.optimizer:
            recipe = replace(recipe, bias_lr_factor=1.0, **OPTIMIZER_DEFAULTS[optimizer])
        if chosen.get("flip") == "none":
            recipe = replace(recipe, test_time_flip=False)
        values |= asdict(recipe)
        if "overfit_batches" in chosen:
            values["augment"] = False
        values |= chosen
        check_values(values)
        for name in chosen if asked_for is None else chosen.keys() & asked_for:
            if chosen[name] not in (False, 0, "none"):  # which only switch off what is off anyway
                check_effect(name, values)
        check_search(values)
        if "sync_batchnorm" in (chosen if asked_for is None else asked_for):
            check_synchronization(values)
        if values["weights"] and values["resume"]:
            raise SettingsError(
                f"--resume {values['resume']} goes on with its own weights; leave --weights out"
            )
        return cls(**values)


def defaults(settings: type[Settings]) -> dict[str, Any]:
    """What the options are without a recipe."""
    known = {each.name: each.default for each in fields(settings) if each.default is not MISSING}
    return {**known, "data_dir": os.environ.get(DATA_DIR_VARIABLE, "data")}


def needs_of(name: str) -> tuple[Need, ...]:
    """What an option needs to have an effect."""
    (needs,) = (declared(setting).needs for setting in fields(Settings) if setting.name == name)
    return tuple(needs)


def takes_effect(name: str, values: Mapping[str, Any]) -> bool:
    """Whether the other values let an option do something, as far as it is declared."""
    return all(need.is_met(values.get(need.other)) for need in needs_of(name))


def check_effect(name: str, values: Mapping[str, Any]) -> None:
    """Refuse an option that another one keeps from having an effect.

    Raises:
        SettingsError: naming the two, and what to add.
    """
    for other, is_met, remedy in needs_of(name):
        if not is_met(values[other]):
            found = flag(other, values[other])
            beside = f"with {found}" if values[other] is not None else f"without {found}"
            advice = (
                "leave one of them out"
                if remedy is None
                else f"add {flag(other, remedy)} or leave it out"
            )
            raise SettingsError(f"{flag(name, values[name])} has no effect {beside}; {advice}")


def check_values(values: Mapping[str, Any]) -> None:
    """Refuse what no training can be carried out with.

    Raises:
        SettingsError: a number is infinite, a seed or the threads too many, or a text empty or none.
    """
    for name, value in values.items():
        if isinstance(value, float) and not isfinite(value):
            raise SettingsError(f"{flag(name, value)}: expected a finite number; name one")
        if value == "":
            raise SettingsError(
                f"{flag(name, None)} has nothing after it; name a value, or leave it out"
            )
        if isinstance(value, str) and not is_text(value):
            raise SettingsError(
                f"{flag(name, None)} {value!r:.80}: this is no text in UTF-8, as records are; rename it"
            )
    if values["seed"] > LARGEST_SEED:
        raise SettingsError(f"--seed {values['seed']}: expected at most {LARGEST_SEED}; name another")
    if (values["threads"] or 0) > MOST_THREADS:
        raise SettingsError(
            f"--threads {values['threads']}: expected at most {MOST_THREADS}; name fewer"
        )


def is_text(value: str) -> bool:
    """Whether a text can be written to a file: not so bytes of another encoding in a file's name."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def check_search(values: Mapping[str, Any]) -> None:
    """Refuse to search for a learning rate where the run would not take it.

    Raises:
        SettingsError: naming what stands against it.
    """
    for several in ("devices", "num_nodes"):
        if values["find_lr"] and values[several] > 1:
            raise SettingsError(
                f"--find-lr searches on one device, and not with {flag(several, values[several])}; "
                f"search with {flag(several, 1)}, and give what is found with --lr"
            )


def check_synchronization(values: Mapping[str, Any]) -> None:
    """Refuse to synchronise one device with itself.

    Raises:
        SettingsError: there is one device only.
    """
    if values["sync_batchnorm"] and values["devices"] * values["num_nodes"] == 1:
        raise SettingsError(
            "--sync-batchnorm has no effect with --devices 1; add --devices 2 or leave it out"
        )


def plain(value: Any) -> Any:
    """A value of a type of the command line's own as PyTorch's and YAML's readers know it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return str(value)
    return float(value) if isinstance(value, float) else value
