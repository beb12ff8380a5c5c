"""What a run is made of: its network and loss, its data, and its trainer."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import timedelta
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ansnet.compatibility import lightning
from ansnet.data import ImageDataModule, make_data_module
from ansnet.data.augmentation import Augmentation
from ansnet.models import create_model, torch_twin
from ansnet.modules import SoftmaxCrossEntropy
from ansnet.training.anomaly import AnomalyWatch
from ansnet.training.board.hparams import Listed
from ansnet.training.board.record import BoardRecord
from ansnet.training.callbacks import StepLog
from ansnet.training.checkpoint_io import WholeCheckpointIO
from ansnet.training.checkpoints import Best, Last, MidEpoch
from ansnet.training.classifier import ImageClassifier
from ansnet.training.devices import number_of_processes, process_plugins
from ansnet.training.finite import FiniteWatch
from ansnet.training.initialization import set_identity
from ansnet.training.interruption import Interruption
from ansnet.training.machine import device_options, device_type
from ansnet.training.memory_needed import check_network
from ansnet.training.progress import SmoothedProgress
from ansnet.training.record import Record
from ansnet.training.run_folder import RunBoard, RunFolder, RunTable
from ansnet.training.settings import Settings, SettingsError
from ansnet.training.warm_start import begin_with_weights


def make_classifier(settings: Settings, data: ImageDataModule | None = None) -> ImageClassifier:
    """The network, of as many outputs as the data has classes, and how it is trained.

    Args:
        settings: see `Settings`.
        data: what it is to be trained on; None makes it from the settings.

    Raises:
        UnknownModelError, NotationError: see `create_model`.
        DataError: the mean of the images is to be taken out, and there are none.
        SettingsError: the weights that it is to begin with are of another network, or it does not fit
            into memory.
    """
    data = make_data(settings) if data is None else data
    check_network(settings, len(data.classes))
    noted = create_model(settings.model, len(data.classes))
    if settings.identity_init:
        set_identity(noted)
    begins = settings.weights and settings.resume is None
    origin = begin_with_weights(noted, settings, data.classes) if begins else None
    network, criterion = arranged(noted, settings)
    if settings.compile == "network":
        # its kernels started as one, by graphs, which are not made for what several processes exchange
        alone_on_cuda = device_type(settings) == "cuda" and number_of_processes(settings) == 1
        # in place, so that the keys of its state are the same
        network.compile(mode="reduce-overhead" if alone_on_cuda else None)
    taken = signature(ImageClassifier).parameters  # the options that have their effect there
    classifier = ImageClassifier(
        network,
        criterion,
        classes=data.classes,
        normalisation=data.normalisation,
        **{name: value for name, value in asdict(settings).items() if name in taken},
    )
    classifier.origin = origin
    return classifier


def arranged(network: nn.Module, settings: Settings) -> tuple[nn.Module, nn.Module]:
    """A network of the layers, and in the layout, that the settings name; and its loss."""
    criterion: nn.Module = SoftmaxCrossEntropy(label_smoothing=settings.label_smoothing)
    if settings.ops == "torch":
        network = torch_twin(network)
        criterion = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    if settings.channels_last:
        network = network.to(memory_format=torch.channels_last)
    return network, criterion


def make_data(settings: Settings) -> ImageDataModule:
    augmentation = Augmentation(settings.flip, settings.border, settings.cutout)
    options: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "augmentation": augmentation if settings.augment else None,
        "channels_last": settings.channels_last,
        "seed": settings.seed,
    }
    return make_data_module(settings.dataset, settings.data_dir, settings.mirror, **options)


def make_trainer(settings: Settings, interruption: Interruption | None = None) -> lightning.Trainer:
    """The trainer, and what saves and records.

    Args:
        settings: see `Settings`.
        interruption: by which the run is told to end; None leaves signals as they are.
    """
    name = settings.model if settings.model.isidentifier() else "notation"
    folder = RunFolder(settings.log_dir, name)
    steps, best = StepLog(), Best()
    saving = [best, Last(best), MidEpoch(steps, settings.checkpoint_every, interruption)]
    recording = [
        Record(settings),
        steps,
        FiniteWatch(),
        *([AnomalyWatch()] if settings.detect_anomaly else []),
        Listed(asdict(settings)),
        BoardRecord(settings.pictures_every),
    ]
    return lightning.Trainer(
        **device_options(settings),
        max_epochs=settings.max_epochs,
        gradient_clip_val=settings.gradient_clip_val,
        gradient_clip_algorithm=settings.gradient_clip_algorithm,
        accumulate_grad_batches=settings.accumulate_grad_batches,
        limit_train_batches=settings.limit_batches,
        inference_mode=False,  # tensors made in it before training could not be updated while training
        logger=[RunBoard(folder), RunTable(folder), *other_loggers(settings, name)],
        plugins=[WholeCheckpointIO(), *process_plugins(settings)],
        callbacks=[*changing(settings), *saving, *recording, SmoothedProgress()],
        detect_anomaly=settings.detect_anomaly,
        num_sanity_val_steps=0,  # the validation before training has run every step already
        log_every_n_steps=0,  # but by StepLog
        enable_model_summary=False,
    )


def duration(text: str) -> timedelta:
    """Days, hours, minutes and seconds, with colons between them.

    Example:
        >>> str(duration("0:1:30:0"))
        '1:30:00'
    """
    days, hours, minutes, seconds = map(int, text.split(":"))
    return timedelta(days, seconds, minutes=minutes, hours=hours)


class Patience(lightning.callbacks.EarlyStopping):
    """Early stopping with the patience of the command line, also where a checkpoint had another."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({**state_dict, "patience": self.patience})


class TimeLimit(lightning.callbacks.Timer):
    """The time of this process, also where it goes on from a checkpoint of another."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


def changing(settings: Settings) -> list[lightning.Callback]:
    """The callbacks that change the training: Lightning's own."""
    callbacks: list[lightning.Callback] = []
    if settings.ema is not None:
        callbacks.append(lightning.callbacks.EMAWeightAveraging(decay=settings.ema))
    if settings.early_stopping is not None:
        callbacks.append(Patience("val/accuracy", patience=settings.early_stopping, mode="max"))
    if settings.max_time is not None:
        callbacks.append(TimeLimit(duration(settings.max_time)))
    return callbacks


def other_loggers(settings: Settings, name: str) -> list[Any]:
    """Lightning's loggers for what only some have installed.

    Raises:
        SettingsError: it is not installed.
    """
    loggers: list[Any] = []
    for wanted, package in ((settings.wandb, "wandb"), (settings.mlflow, "mlflow")):
        if wanted and find_spec(package) is None:
            raise SettingsError(
                f"--{package} needs the package {package}; install it with pip install {package}"
            )
    if settings.wandb or settings.mlflow:
        Path(settings.log_dir).mkdir(parents=True, exist_ok=True)
    if settings.wandb:
        loggers.append(
            lightning.loggers.WandbLogger(project="ansnet", group=name, save_dir=settings.log_dir)
        )
    if settings.mlflow:
        # a database, since mlflow 3 refuses Lightning's default, which is a folder of files
        database = f"sqlite:///{Path(settings.log_dir, 'mlflow.db')}"
        place = os.environ.get("MLFLOW_TRACKING_URI", database)
        loggers.append(lightning.loggers.MLFlowLogger("ansnet", tracking_uri=place))
    return loggers
