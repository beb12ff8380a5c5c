"""Going on from a checkpoint: with which settings, and from which checkpoints it can be done."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from ansnet.files import is_held
from ansnet.training.classifier import ImageClassifier
from ansnet.training.datasets import FOLDER
from ansnet.training.history import read_rows
from ansnet.training.options import declared, flag
from ansnet.training.recipes import MOMENTS
from ansnet.training.record import KEY
from ansnet.training.settings import (
    DATA_DIR_VARIABLE,
    Settings,
    SettingsError,
    check_effect,
    check_values,
    defaults,
    plain,
    takes_effect,
)

PARTS = {
    "state_dict": dict,
    "hyper_parameters": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "loops": dict,
    "epoch": int,
    "global_step": int,
}

COUNTERS = (
    "epoch_progress",
    "epoch_loop.batch_progress",
    "epoch_loop.scheduler_progress",
    "epoch_loop.val_loop.batch_progress",
)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says of its training.

    Attributes:
        path: as given.
        settings: of the run; None if it is of an older ansnet and no ``hparams.yaml`` is beside it.
        epochs: that are completed.
        steps: that have been taken.
        is_within_epoch: whether an epoch is going on.
        content: all of it.
    """

    path: str
    settings: dict[str, Any] | None
    epochs: int
    steps: int
    is_within_epoch: bool
    content: dict[str, Any]

    def __str__(self) -> str:
        where = (
            f"within epoch {self.epochs + 1}" if self.is_within_epoch else f"after epoch {self.epochs}"
        )
        return f"{self.path}, {where}, step {self.steps}"


def read_checkpoint(path: str) -> Checkpoint:
    """Read a checkpoint that a run can go on from.

    Raises:
        SettingsError: there is none, it is damaged, or something else.
    """
    given = f"--resume {path}"
    if not Path(path).exists():
        raise SettingsError(f"{given}: there is no such file; name a checkpoint")
    if not Path(path).is_file():
        raise SettingsError(f"{given}: this is no file; name a checkpoint")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch has to say of pickles that are none of its own
            content = torch.load(path, map_location="cpu", weights_only=True)
        if type(content) is not dict or not all(
            isinstance(content[name], kind) for name, kind in PARTS.items()
        ):
            raise KeyError("another part")
        if not isinstance(content["hyper_parameters"].get("classes"), list | tuple | None):
            raise TypeError("classes of another type")
        progress = content["loops"]["fit_loop"]["epoch_progress"]["current"]
        epochs, is_within = int(progress["processed"]), progress["started"] > progress["processed"]
        settings = settings_in(content, path)
        check_progress(content["loops"]["fit_loop"])
        for schedule in content["lr_schedulers"]:
            if type(schedule["last_epoch"]) is not int:
                raise TypeError("a schedule of another type")
        for optimizer in content["optimizer_states"]:
            optimizer["state"].values(), [group["params"] for group in optimizer["param_groups"]]
    except SettingsError:  # of the record beside it
        raise
    except Exception as error:  # what is no checkpoint makes it raise nearly anything
        raise SettingsError(f"{given}: this is no checkpoint of a run; name one") from error
    return Checkpoint(path, settings, epochs, content["global_step"], is_within, content)


def check_progress(loops: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that does not say where its training is: Lightning would begin anew.

    Raises:
        KeyError, TypeError: a counter is missing, or no number.
    """
    for name in COUNTERS:
        for counters in (loops[name]["total"], loops[name]["current"]):
            if not counters or any(type(each) is not int for each in counters.values()):
                raise TypeError(f"{name} has other counters")


def settings_in(content: Mapping[str, Any], path: str) -> dict[str, Any] | None:
    """The settings that a checkpoint names, or else the ``hparams.yaml`` of its run."""
    from ansnet.training.comparison import RecordError, read_settings

    known: dict[str, Any] | None = content.get(KEY, {}).get("settings")
    if known is None:
        record = Path(path).resolve().parent.parent / "hparams.yaml"
        try:
            known = read_settings(record) if record.is_file() else None
        except RecordError as error:
            raise SettingsError(str(error)) from error
    if known is None:
        return None
    settings: dict[str, Any] = {}
    for setting in fields(Settings):
        value = known.get(setting.name, defaults(Settings).get(setting.name))
        if not fits(value, str(setting.type)):
            raise TypeError(f"{setting.name} is {value!r}")
        settings[setting.name] = value
    return settings


def fits(value: Any, annotation: str) -> bool:
    """Whether a value is of the type that a setting is annotated with."""
    kinds = {"int": int, "float": (int, float), "bool": bool, "str": str, "None": type(None)}
    wanted = annotation.split(" | ")
    if isinstance(value, bool):
        return "bool" in wanted
    return any(isinstance(value, kinds[name]) for name in wanted)  # type: ignore[arg-type]


def settings_from(
    path: str, given: Mapping[str, Any], asked_for: Collection[str] | None = None
) -> Settings:
    """The settings of a run that goes on: those of the checkpoint, but for what is given.

    It is recorded where the run before is, and reads the data where that did, if there is some.

    Args:
        path: of the checkpoint.
        given: settings by name.
        asked_for: names of those that the user gave by hand; see `Settings.complete`.

    Raises:
        SettingsError: see `read_checkpoint` and `going_on`; or an older checkpoint does not
            say its settings.
    """
    run = Path(path).resolve().parent.parent
    if is_held(run):
        raise SettingsError(
            f"--resume {path}: its run is still going on; end it before, or name another"
        )
    before = read_checkpoint(path).settings
    if before is None:
        raise SettingsError(
            f"--resume {path}: the checkpoint is of an older ansnet, and the hparams.yaml of its run "
            "is not beside it; put it back into its run's folder"
        )
    folder = Path(path) if len(Path(path).parts) > 4 else Path(path).resolve()
    if folder.parent.name == "checkpoints" and folder.parents[1].name.startswith("version_"):
        before["log_dir"] = str(folder.parents[3])
    if not Path(before["data_dir"]).is_dir():
        before["data_dir"] = os.environ.get(DATA_DIR_VARIABLE, before["data_dir"])
    return going_on(before, given, path, asked_for)


def going_on(
    before: Mapping[str, Any],
    given: Mapping[str, Any],
    checkpoint: str,
    asked_for: Collection[str] | None = None,
) -> Settings:
    """Settings of a run that goes on from a checkpoint.

    Args:
        before: those that the checkpoint names.
        given: what is given beside it, by name.
        checkpoint: its path.
        asked_for: see `settings_from`.

    Raises:
        SettingsError: what is given has no effect on a training that goes on.
    """
    given = {name: plain(value) for name, value in given.items()}
    asked = given.keys() if asked_for is None else given.keys() & asked_for
    if given.get("weights") and "weights" in asked:
        raise SettingsError(f"--resume {checkpoint} goes on with its own weights; leave --weights out")
    if given.get("find_lr") and "find_lr" in asked:
        raise SettingsError(
            "--find-lr cannot search for a training that goes on with its own rate, that of "
            f"--resume {checkpoint}; leave one of them out"
        )
    values = {**before, **given, "find_lr": False, "resume": checkpoint}
    check_values(values)
    check_fixed(before, values)
    for name in asked:
        if values[name] not in (False, 0, "none", None):
            check_effect(name, values)
    return Settings(**values)


def check_fixed(before: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Refuse to go on with another value of what a training cannot change on its way.

    Raises:
        SettingsError: naming the option, and its value before.
    """
    for setting in fields(Settings):
        name = setting.name
        if not declared(setting).fixed or values[name] == before[name]:
            continue
        if name == "dataset" and all(each[name].startswith(FOLDER) for each in (before, values)):
            continue  # it may have been moved
        now, then = (flag(name, each[name]) for each in (values, before))
        unset = before[name] is None or before[name] is False
        raise SettingsError(
            f"--resume {values['resume']}: the checkpoint is of a training "
            f"{'without' if unset else 'with'} {flag(name, None) if unset else then}, and cannot go on "
            f"with {now}; leave it out"
        )


def check_checkpoint(settings: Settings, classifier: ImageClassifier) -> Checkpoint:
    """Refuse to go on from what holds no such training, or has nothing left to train.

    Raises:
        SettingsError: saying what the file is instead.
    """
    checkpoint = read_checkpoint(str(settings.resume))
    given, content = f"--resume {settings.resume}", checkpoint.content
    if checkpoint.settings is not None:
        check_fixed(checkpoint.settings, asdict(settings))
    state, own = content["state_dict"], classifier.state_dict()
    if state.keys() != own.keys() or any(shape_of(state[name]) != own[name].shape for name in own):
        raise SettingsError(
            f"{given}: the checkpoint is of another network than --model {settings.model}; name its own"
        )
    classes = content["hyper_parameters"].get("classes")
    if classes is not None and tuple(classes) != classifier.classes:
        raise SettingsError(
            f"{given}: the checkpoint is of a training on other classes than those of "
            f"{settings.dataset}; name the pictures that it was trained on"
        )
    groups = [len(state["param_groups"]) for state in content["optimizer_states"]]
    if groups != [2] or len(content["lr_schedulers"]) != 1:
        raise SettingsError(
            f"{given}: the checkpoint is of an older ansnet, which did not tell weights from biases; "
            "train anew"
        )
    check_moments(given, content["optimizer_states"][0], settings, classifier)
    averaged = "current_model_state" in content
    if averaged != (settings.ema is not None):
        kind, advice = (
            ("with", "add --ema and its decay") if averaged else ("without", "leave --ema out")
        )
        raise SettingsError(
            f"{given}: the checkpoint is of a training {kind} averaged weights, and goes on so; "
            f"{advice}"
        )
    if checkpoint.epochs >= settings.max_epochs and is_recorded(checkpoint):
        completed = "1 epoch is" if checkpoint.epochs == 1 else f"{checkpoint.epochs} epochs are"
        raise SettingsError(
            f"{given}: {completed} completed, so nothing is left of --max-epochs "
            f"{settings.max_epochs}; name a higher number"
        )
    check_schedule(checkpoint, settings)
    return checkpoint


def is_recorded(checkpoint: Checkpoint) -> bool:
    """Whether the record of a run has all that its last checkpoint says, and its picture.

    It has not if the run was killed between the two. Then it is gone on with to complete the record.
    """
    folder, said = Path(checkpoint.path).resolve().parent.parent, checkpoint.content.get(KEY)
    table = folder / "metrics.csv"
    if said is None or not table.is_file():
        return True  # or there is none to be completed
    rows = sum(1 for _ in read_rows(table))
    return rows >= said["rows"] + bool(said["unwritten"]) and (folder / "curves.png").is_file()


def check_moments(
    given: str, optimizer: Mapping[str, Any], settings: Settings, classifier: ImageClassifier
) -> None:
    """Refuse the state of another optimizer, or of other parameters.

    Raises:
        SettingsError: naming the checkpoint.
    """
    numbers = [number for group in optimizer["param_groups"] for number in group["params"]]
    groups = classifier.make_optimizer().param_groups
    parameters = [parameter for group in groups for parameter in group["params"]]
    needs_any = settings.optimizer != "sgd" or optimizer["param_groups"][0].get("momentum") != 0
    for number, parameter in zip(numbers, parameters, strict=False):
        state = optimizer["state"].get(number, {})
        held = {name for name, each in state.items() if shape_of(each) == parameter.shape}
        if len(numbers) != len(parameters) or (
            needs_any and not held.issuperset(MOMENTS[settings.optimizer])
        ):
            raise SettingsError(
                f"{given}: what the optimizer keeps is missing in it, or of another network; train "
                f"anew, or begin with its weights by --weights {settings.resume}"
            )


def check_schedule(checkpoint: Checkpoint, settings: Settings) -> None:
    """Refuse to lengthen a schedule that has come to its end, where the rate is 0.

    Raises:
        SettingsError: saying how else to go on.
    """
    before = checkpoint.settings
    if before is None or checkpoint.epochs < before["max_epochs"] or settings.schedule == "constant":
        return
    if checkpoint.epochs >= settings.max_epochs:  # its record is to be completed, and nothing trained
        return
    if before["schedule"] != "constant":
        raise SettingsError(
            f"--resume {settings.resume}: the learning rate has fallen to 0 by the schedule of its "
            f"{before['max_epochs']} epochs, and would jump; add --schedule constant and an --lr, or "
            f"begin a new training with its weights by --weights {settings.resume}"
        )


def changes(checkpoint: Checkpoint, settings: Settings) -> list[str]:
    """What is another setting from here on, a line each."""
    before, now = checkpoint.settings, asdict(settings)
    if before is None:
        return []
    lines = [
        f"{flag(setting.name, now[setting.name])} from here on, before "
        + flag(setting.name, before[setting.name])
        for setting in fields(Settings)
        if not declared(setting).aside
        and now[setting.name] != before[setting.name]
        and (takes_effect(setting.name, now) or takes_effect(setting.name, before))
    ]
    if now["max_epochs"] != before["max_epochs"] and settings.schedule != "constant":
        lines.append("so that the learning rate falls to 0 at another step than it would have")
    return lines


def shape_of(value: Any) -> Any:
    return getattr(value, "shape", None)
