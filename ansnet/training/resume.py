"""Which checkpoints a run can go on from."""

from __future__ import annotations

from dataclasses import fields
from pickle import UnpicklingError

import torch

from ansnet.training.callbacks import EarlierRecord
from ansnet.training.classifier import ImageClassifier
from ansnet.training.datasets import FOLDER
from ansnet.training.options import declared, flag
from ansnet.training.settings import Settings, SettingsError, takes_effect

# which the optimizer of a checkpoint goes on with, whatever the command line says
KEPT = [setting.name for setting in fields(Settings) if declared(setting).kept]
# what reading something else as a checkpoint ends in
NO_CHECKPOINT = (
    OSError,
    EOFError,
    AttributeError,
    IndexError,
    KeyError,
    RuntimeError,
    UnicodeDecodeError,
    UnpicklingError,
)
BEFORE_THEY_WERE_OPTIONS = {"bias_lr_factor": 1.0, "nesterov": False, "decay_biases": False}


def check_checkpoint(settings: Settings, classifier: ImageClassifier) -> None:
    """Refuse to resume from what holds no such training, or has nothing left to train.

    Raises:
        SettingsError: saying what the file is instead.
    """
    given = f"--resume {settings.resume}"
    try:
        checkpoint = torch.load(str(settings.resume), map_location="cpu", weights_only=True)
        shapes = {name: tensor.shape for name, tensor in checkpoint["state_dict"].items()}
        epochs, averaged = checkpoint["epoch"] + 1, "current_model_state" in checkpoint
        chosen = {**BEFORE_THEY_WERE_OPTIONS, **checkpoint["hyper_parameters"]}
        optimizer, kept = chosen["optimizer"], [(name, chosen[name]) for name in KEPT]
        groups = [len(state["param_groups"]) for state in checkpoint["optimizer_states"]]
        recorded = checkpoint["callbacks"].get(EarlierRecord.__name__, {})
        dataset = recorded.get("dataset", settings.dataset)  # an older ansnet did not say it
    except FileNotFoundError as error:
        raise SettingsError(f"{given}: there is no such file; name a checkpoint") from error
    except NO_CHECKPOINT as error:
        raise SettingsError(f"{given}: this is no checkpoint of a run; name one") from error
    if shapes != {name: tensor.shape for name, tensor in classifier.state_dict().items()}:
        raise SettingsError(
            f"{given}: the checkpoint is of another network than --model {settings.model}; name its own"
        )
    if dataset.startswith(FOLDER) and settings.dataset.startswith(FOLDER):  # it may have been moved
        if chosen["classes"] != classifier.classes:
            raise SettingsError(
                f"{given}: the checkpoint is of a training on other classes than those of "
                f"{settings.dataset}; name the pictures that it was trained on, {dataset}"
            )
    elif dataset != settings.dataset:
        raise SettingsError(
            f"{given}: the checkpoint is of a training on {dataset}, not on {settings.dataset}; add "
            f"--dataset {dataset}, and what else it was trained with"
        )
    if optimizer != settings.optimizer:
        raise SettingsError(
            f"{given}: the checkpoint is of a training by {optimizer}, and {settings.optimizer} cannot "
            f"go on from it; add --optimizer {optimizer}, and what else it was trained with"
        )
    if groups != [2]:
        raise SettingsError(
            f"{given}: the checkpoint is of an older ansnet, which did not tell weights from biases; "
            "train anew"
        )
    for name, value in kept:
        if value != getattr(settings, name) and takes_effect(name, chosen):
            raise SettingsError(
                f"{given}: the checkpoint is of a training with {flag(name, value)}, and goes on with "
                f"that; add {flag(name, value)}"
            )
    if averaged != (settings.ema is not None):
        kind, advice = (
            ("with", "add --ema and its decay") if averaged else ("without", "leave --ema out")
        )
        raise SettingsError(
            f"{given}: the checkpoint is of a training {kind} averaged weights, and goes on so; "
            f"{advice}"
        )
    if epochs >= settings.max_epochs:
        raise SettingsError(
            f"{given}: {epochs} epochs are completed, so nothing is left of --max-epochs "
            f"{settings.max_epochs}; name a higher number"
        )
