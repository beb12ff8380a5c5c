"""What a run is made of: its network and loss, its data, and its trainer."""

from __future__ import annotations

from dataclasses import asdict
from inspect import signature
from typing import Any

import torch
from torch import nn

from ansnet.compatibility import lightning
from ansnet.data import CIFAR10DataModule, ImageDataModule, Shapes10DataModule
from ansnet.data.augmentation import Augmentation
from ansnet.models import create_model, torch_twin
from ansnet.modules import SoftmaxCrossEntropy
from ansnet.training.board import Listed
from ansnet.training.callbacks import EarlierRecord, SmoothedProgress, StepLog
from ansnet.training.classifier import ImageClassifier
from ansnet.training.initialization import set_identity
from ansnet.training.machine import device_options, device_type
from ansnet.training.settings import Settings

DATA_MODULES: dict[str, type[ImageDataModule]] = {
    "cifar10": CIFAR10DataModule,
    "shapes10": Shapes10DataModule,
}


def make_classifier(settings: Settings) -> ImageClassifier:
    network: nn.Module = create_model(settings.model)
    if settings.identity_init:
        set_identity(network)
    criterion: nn.Module = SoftmaxCrossEntropy(label_smoothing=settings.label_smoothing)
    if settings.ops == "torch":
        network = torch_twin(network)
        criterion = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    if settings.channels_last:
        network = network.to(memory_format=torch.channels_last)
    if settings.compile == "network":
        # its kernels started as one, by graphs, which are not made for what several processes exchange
        alone_on_cuda = device_type(settings) == "cuda" and settings.devices == 1
        # in place, so that the keys of its state are the same
        network.compile(mode="reduce-overhead" if alone_on_cuda else None)
    data = DATA_MODULES[settings.dataset]
    taken = signature(ImageClassifier).parameters  # the options that have their effect there
    return ImageClassifier(
        network,
        criterion,
        classes=data.classes,
        normalisation=data.normalisation,
        **{name: value for name, value in asdict(settings).items() if name in taken},
    )


def make_data(settings: Settings) -> ImageDataModule:
    augmentation = Augmentation(settings.flip, settings.border, settings.cutout)
    options: dict[str, Any] = {
        "batch_size": settings.batch_size,
        "augmentation": augmentation if settings.augment else None,
        "channels_last": settings.channels_last,
        "seed": settings.seed,
    }
    kind = DATA_MODULES[settings.dataset]
    if kind is CIFAR10DataModule:
        options |= {"data_dir": settings.data_dir, "mirror": settings.mirror}
    return kind(**options)


def make_trainer(settings: Settings) -> lightning.Trainer:
    name = settings.model if settings.model.isidentifier() else "notation"
    board = lightning.loggers.TensorBoardLogger(settings.log_dir, name, default_hp_metric=False)
    table = lightning.loggers.CSVLogger(settings.log_dir, name, version=board.version)
    best = lightning.callbacks.ModelCheckpoint(
        monitor="val/accuracy",
        mode="max",
        filename="best-epoch={epoch:.0f}-val_accuracy={val/accuracy:.4f}",
        auto_insert_metric_name=False,
    )
    # Not `save_last` of the one above, which copies the last that was saved: the best.
    last = lightning.callbacks.ModelCheckpoint(filename="last", enable_version_counter=False)
    recording = [EarlierRecord(settings.dataset), StepLog(), Listed(asdict(settings))]
    return lightning.Trainer(
        **device_options(settings),
        max_epochs=settings.max_epochs,
        inference_mode=False,  # tensors made in it before training could not be updated while training
        logger=[board, table],
        callbacks=[best, last, *recording, SmoothedProgress()],
        num_sanity_val_steps=0,  # the validation before training has run every step already
        log_every_n_steps=0,  # but by StepLog
        enable_model_summary=False,
    )
