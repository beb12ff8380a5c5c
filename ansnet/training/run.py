"""A run: from settings to a trained network and the files that tell of it."""

from __future__ import annotations

import logging
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

import torch
from torch import nn
from torch._functorch import config as functorch

from ansnet.compatibility import lightning, torchvision
from ansnet.data import CIFAR10DataModule, ImageDataModule, Shapes10DataModule
from ansnet.data.augmentation import Augmentation
from ansnet.functional.kernel import finds_compiler
from ansnet.models import create_model, torch_twin
from ansnet.modules import SoftmaxCrossEntropy
from ansnet.training.board import Listed
from ansnet.training.callbacks import EarlierRecord, SmoothedProgress, StepLog, readable_duration
from ansnet.training.classifier import ImageClassifier
from ansnet.training.find_lr import HIGHEST, LOWEST, STEPS, RangeTest, Search, draw_search
from ansnet.training.history import Epoch, best_epoch, draw_curves, read_history
from ansnet.training.initialization import set_identity
from ansnet.training.memory import keep_freed_memory
from ansnet.training.resume import check_checkpoint
from ansnet.training.settings import Settings, SettingsError

DATA_MODULES: dict[str, type[ImageDataModule]] = {
    "cifar10": CIFAR10DataModule,
    "shapes10": Shapes10DataModule,
}


@dataclass(frozen=True)
class Result:
    """What a run arrived at, and where it left its files."""

    history: list[Epoch]
    best: Epoch
    best_checkpoint: Path
    log_dir: Path
    seconds: float
    lr: float

    def __str__(self) -> str:
        last = self.history[-1]
        augmented = last.val_accuracy_tta
        return "\n".join(
            [
                f"last epoch   {last.epoch}: validation accuracy {last.val_accuracy:.2%}"
                + ("" if augmented is None else f"; {augmented:.2%} with test-time augmentation"),
                f"best epoch   {self.best.epoch} of {last.epoch}: validation accuracy "
                f"{self.best.val_accuracy:.2%}, loss {self.best.val_loss:.4f}; training accuracy "
                f"{self.best.train_accuracy:.2%}, loss {self.best.train_loss:.4f}",
                f"checkpoint   {self.best_checkpoint}",
                f"curves       {self.log_dir / 'curves.png'}",
                f"time         {readable_duration(self.seconds)} for this run; training up to epoch "
                f"{last.epoch} {readable_duration(last.training_seconds or 0)}",
                f"browse       tensorboard --logdir {self.log_dir.parent.parent}",
            ]
        )


def train(settings: Settings) -> Result:
    """Train as the settings say.

    Leaves ``metrics.csv``, ``hparams.yaml``, the TensorBoard events, ``curves.png``, with ``find_lr``
    also ``find_lr.png``, and ``checkpoints/`` in ``log_dir/<model>/version_<n>/``.

    Args:
        settings: see `Settings`.

    Returns:
        The epochs' figures and the best of them by validation accuracy.

    Raises:
        SettingsError: the machine has not what the settings ask for.
        DataError: the data is missing or damaged.
        UnknownModelError, NotationError: see `create_model`.
    """
    check_machine(settings)
    settings = complete_by_device(settings)
    start = monotonic()
    keep_freed_memory()
    # Deterministic algorithms would have all new memory filled first; none of it is read unwritten.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    search = find_learning_rate(settings) if settings.find_lr else None
    if search is not None:
        settings = replace(settings, lr=search.rate)
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    classifier = make_classifier(settings)
    if settings.resume is not None:
        check_checkpoint(settings, classifier)
    data = make_data(settings)
    data.prepare_data()
    with as_settled(settings):
        trainer = data.trainer = make_trainer(settings)
        if trainer.is_global_zero:
            record = describe_run(settings, classifier)
            for logger in trainer.loggers:
                logger.log_hyperparams(record)
            print(introduction(settings, record, trainer))
            if search is not None:
                picture = Path(str(trainer.log_dir), "find_lr.png")
                draw_search(search, picture)
                print(f"{search}: {picture}")
        if settings.resume is None:
            loaders = [data.val_dataloader(), data.untouched_train_dataloader()]
            trainer.validate(classifier, loaders, verbose=False)
        trainer.fit(
            classifier, data.train_dataloader(), data.val_dataloader(), ckpt_path=settings.resume
        )
    log_dir = Path(str(trainer.log_dir))
    trainer.strategy.barrier()  # before the other processes read what the first has written
    history = read_history(log_dir / "metrics.csv")
    if trainer.is_global_zero:
        draw_curves(history, f"{settings.model} on {settings.dataset}", log_dir / "curves.png")
    checkpoint = Path(trainer.checkpoint_callback.best_model_path)  # type: ignore[union-attr]
    seconds = monotonic() - start
    return Result(history, best_epoch(history), checkpoint, log_dir, seconds, settings.lr)


def find_learning_rate(settings: Settings) -> Search:
    """Try learning rates on a network of its own, which takes its first steps as the run will.

    It is over before the run draws its first random number. So the run is the same as with what was
    found given.

    Raises:
        SettingsError: the loss falls at no rate.
    """
    # a hundred steps are over before a network compiled as a whole has paid for its compilation
    compilation = "operations" if settings.compile == "network" else settings.compile
    settings = replace(settings, compile=compilation, schedule="constant", warmup=0.0)
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    classifier, data, test = make_classifier(settings), make_data(settings), RangeTest()
    data.prepare_data()
    with as_settled(settings):
        trainer = data.trainer = lightning.Trainer(
            **device_options(settings),
            max_steps=STEPS,
            max_epochs=-1,
            limit_val_batches=0,
            logger=False,
            callbacks=[test],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(classifier, data.train_dataloader(), data.val_dataloader())
    if test.search.steepest() is None:
        raise SettingsError(
            f"--find-lr finds no rate from {LOWEST:g} to {HIGHEST:g} at which the loss falls by more "
            f"than it varies, in {STEPS} steps; name one with --lr, or take a larger --batch-size"
        )
    return test.search


@contextmanager
def as_settled(settings: Settings) -> Iterator[None]:
    """Compiling what is to be compiled, and silent about what is expected.

    What a compiled network has been made into is kept for the next process although there are Functions
    in it, which is PyTorch's choice for other networks. It is found again by what their forward and
    backward are traced to, so that a changed formula is compiled anew.
    """
    stance = torch.compiler.set_stance("force_eager") if settings.compile == "none" else nullcontext()
    keep = functorch.patch(autograd_cache_allow_custom_autograd_functions=True)
    with warnings.catch_warnings(), stance, keep:
        silence_expected_messages()
        yield


def check_machine(settings: Settings) -> None:
    """Refuse an accelerator that is not there.

    Raises:
        SettingsError: naming what is missing.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
        "auto": True,
    }
    there["gpu"] = there["cuda"] or there["mps"]
    if not there[settings.accelerator]:
        raise SettingsError(
            f"--accelerator {settings.accelerator}: torch {torch.__version__} finds none on this "
            "machine; use --accelerator cpu, or leave it out to take what the machine has"
        )


def complete_by_device(settings: Settings) -> Settings:
    """Settings with the device's own in place of a precision or a compilation that is None.

    Raises:
        SettingsError: compilation is asked for, and there is no compiler.
    """
    device = device_type(settings)
    precision, compilation = settings.precision, settings.compile
    if precision is None:
        precision = "bf16-mixed" if device == "cuda" else "32-true"
    if compilation is None:
        compilation = default_compilation(device, settings.dataset)
    elif compilation != "none" and device == "cpu" and not finds_compiler():
        raise SettingsError(
            f"--compile {compilation}: there is no C++ compiler; install g++, name another one in "
            "the variable CXX, or use --compile none"
        )
    return replace(settings, precision=precision, compile=compilation)


def default_compilation(device: str, dataset: str) -> str:
    if device == "cuda":
        return "network"
    # A run on shapes10 is over before generated code has paid for its generation.
    return "operations" if device == "cpu" and dataset == "cifar10" and finds_compiler() else "none"


def device_type(settings: Settings) -> str:
    """``"cuda"``, ``"mps"`` or ``"cpu"``: what the accelerator stands for on this machine."""
    if settings.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "cuda"
    if settings.accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return "mps"
    return "cpu"


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
    return ImageClassifier(
        network,
        criterion,
        optimizer=settings.optimizer,
        lr=settings.lr,
        bias_lr_factor=settings.bias_lr_factor,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
        decay_biases=settings.decay_biases,
        schedule=settings.schedule,
        warmup=settings.warmup,
        test_time_flip=settings.test_time_flip,
        test_time_shift=settings.test_time_shift,
        classes=data.classes,
        normalisation=data.normalisation,
        dataset=settings.dataset,
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


def device_options(settings: Settings) -> dict[str, Any]:
    """What a trainer is told of where it trains."""
    return {
        "accelerator": settings.accelerator,
        "devices": settings.devices,
        # PyTorch has none for the CPU
        "sync_batchnorm": settings.devices > 1 and device_type(settings) == "cuda",
        "precision": settings.precision,
        "deterministic": True,
    }


def introduction(settings: Settings, record: dict[str, Any], trainer: lightning.Trainer) -> str:
    """What is about to be trained, on what, with what."""
    threads = record["threads"]
    device = f"cpu, {threads} thread" + ("s" if threads > 1 else "")
    if not isinstance(trainer.accelerator, lightning.accelerators.CPUAccelerator):
        device = f"{settings.devices} {trainer.strategy.root_device.type}, {record['gpu']}"
    epochs = f"{settings.max_epochs} epoch" + ("s" if settings.max_epochs > 1 else "")
    augmentation = "augmentation" if settings.augment else "no augmentation"
    layout = "channels last" if settings.channels_last else "channels first"
    compiled = f"{'nothing' if settings.compile == 'none' else settings.compile} compiled"
    if device_type(settings) == "cpu" and not finds_compiler():
        compiled += " (there is no C++ compiler)"
    return "\n".join(
        [
            f"{settings.model}: {record['parameters']:,} parameters, {settings.ops} operations, "
            f"on {settings.dataset}",
            f"{epochs}, {settings.optimizer}, lr {settings.lr:g}, batch {settings.batch_size}, "
            f"{augmentation}, seed {settings.seed}",
            f"{device}, {settings.precision}, {layout}, {compiled}",
            f"recorded in {trainer.log_dir}",
        ]
    )


def silence_expected_messages() -> None:
    """Silence what the user can do nothing about, and what the introduction says better."""
    # torch for CUDA, on a machine without a GPU, when it looks for the C++ compiler
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    # A resumed run is recorded in a folder of its own.
    warnings.filterwarnings("ignore", "The dirpath has changed from.*")
    # The epoch is every process's, speed and time are those of the first.
    warnings.filterwarnings("ignore", "It is recommended to use `self.log.*sync_dist=True")
    # Lightning 2.6 beside torch 2.15.
    warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\).*", FutureWarning)


def describe_run(settings: Settings, classifier: ImageClassifier) -> dict[str, Any]:
    """The settings, and what else the figures depend on."""
    cuda = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        **asdict(settings),
        "notation": classifier.network.notation,
        "parameters": sum(parameter.numel() for parameter in classifier.network.parameters()),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": cuda,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torchvision": str(torchvision.__version__),
        "lightning": version("lightning"),
    }
