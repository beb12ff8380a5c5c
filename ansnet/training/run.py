"""A run: from settings to a trained network and the files that tell of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from ansnet.compatibility import lightning
from ansnet.data import ImageDataModule
from ansnet.data.batches import Batches
from ansnet.files import copy, held
from ansnet.training.adaptation import remarks
from ansnet.training.anomaly import named
from ansnet.training.build import make_classifier, make_data, make_trainer
from ansnet.training.checkpoints import MidEpoch
from ansnet.training.devices import check_images, describe_processes
from ansnet.training.divergence import guessing, judge
from ansnet.training.find_lr import HIGHEST, LOWEST, STEPS, RangeTest, Search, draw_search
from ansnet.training.history import best_epoch, draw_curves, read_history
from ansnet.training.interruption import Interrupted, Interruption
from ansnet.training.machine import as_settled, check_machine, complete_by_device, device_options
from ansnet.training.memory import keep_freed_memory
from ansnet.training.memory_needed import check_batch, memory_remarks
from ansnet.training.precision import settled
from ansnet.training.recording import Recording, check_log_dir, check_space
from ansnet.training.report import Result, describe_run, introduction
from ansnet.training.resume import check_checkpoint
from ansnet.training.settings import RESUMABLE, Settings, SettingsError
from ansnet.training.stopped import TrainingStopped, closing, draw, title


def train(settings: Settings, interruption: Interruption | None = None) -> Result:
    """Train as the settings say.

    Leaves ``metrics.csv``, ``hparams.yaml``, the TensorBoard events, ``curves.png``, with ``find_lr``
    also ``find_lr.png``, and ``checkpoints/`` in ``log_dir/<model>/version_<n>/``.

    Args:
        settings: see `Settings`.
        interruption: by which the run is told to end; None leaves signals as they are.

    Returns:
        The epochs' figures and the best of them by validation accuracy.

    Raises:
        Interrupted: the run has been told to end; what was trained is saved, and the curves are drawn.
        SettingsError: the machine has not what the settings ask for, as memory, the run cannot be
            recorded, or no time was left for a step.
        UnwrittenError: the run cannot be recorded any more.
        TrainingStopped: a loss or a weight is not finite.
        DataError: the data is missing or damaged.
        UnknownModelError, NotationError: see `create_model`.
    """
    if interruption is not None:
        interruption.waits = False
    check_machine(settings)
    check_log_dir(settings.log_dir)
    settings = complete_by_device(settings)
    torch.set_num_threads(settings.threads or 1)
    start = monotonic()
    keep_freed_memory()
    # Deterministic algorithms would have all new memory filled first; none of it is read unwritten.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    settings, timing = settled(settings)
    searches = settings.find_lr and settings.resume is None
    search = find_learning_rate(settings) if searches else None
    if search is not None:
        settings = replace(settings, lr=search.rate)
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    data = make_data(settings)
    classifier = make_classifier(settings, data)
    resumed = None if settings.resume is None else check_checkpoint(settings, classifier)
    check_space(settings, classifier)
    data.prepare_data()
    data.setup("fit")
    check_batch(settings, data)
    check_images(settings, data)
    recording = Recording()
    with as_settled(settings), recording:
        trainer = data.trainer = recording.trainer = make_trainer(settings, interruption)
        if trainer.is_global_zero:
            record = describe_run(settings, classifier, timing)
            for logger in trainer.loggers:
                logger.log_hyperparams(record)
            opening = introduction(settings, record, trainer, resumed)
            lines = [opening, *describe_processes(settings, classifier), *remarks(settings, data)]
            print(*lines, *memory_remarks(settings, data), sep="\n")
            if search is not None:
                picture = Path(str(trainer.log_dir), "find_lr.png")
                draw_search(search, picture)
                print(f"{search}: {picture}")
        training, validation, untouched = loaders(settings, data)
        with (
            at_work(trainer),
            told_to_end(trainer, settings, interruption),
            restored(trainer, settings),
            closing(settings, trainer),
            named(trainer),
        ):
            if settings.resume is None:
                trainer.validate(classifier, [validation, untouched], verbose=False)
            trainer.fit(classifier, training, validation, ckpt_path=settings.resume)
    for logger in trainer.loggers:
        if isinstance(logger, lightning.loggers.WandbLogger):
            logger.experiment.finish()  # or a repetition would be recorded as the same run
    log_dir = Path(str(trainer.log_dir))
    if resumed is not None and resumed.epochs >= settings.max_epochs and trainer.is_global_zero:
        copy(resumed.path, log_dir / "checkpoints" / "last.ckpt")  # there was nothing left to train
    # by the first process, which has written it, perhaps to a disk that no other machine has
    own = read_history(log_dir / "metrics.csv") if trainer.is_global_zero else []
    history = trainer.strategy.broadcast(own)
    if trainer.global_step == 0 and settings.max_time is not None:
        raise SettingsError(
            f"--max-time {settings.max_time} was over before the first step; give it more"
        )
    if trainer.is_global_zero:
        with recording:
            draw_curves(history, title(settings), log_dir / "curves.png")
    checkpoint = Path(trainer.checkpoint_callback.best_model_path)  # type: ignore[union-attr]
    seconds = monotonic() - start
    return Result(
        history,
        best_epoch(history),
        checkpoint,
        log_dir,
        seconds,
        settings.lr,
        settings.max_epochs,
        judge(
            history,
            guessing(training.images.targets, len(data.classes), settings.label_smoothing),
            trainer.global_step,
            len(validation.images.targets),
            settings,
        ),
        settings.precision,
    )


def at_work(trainer: lightning.Trainer) -> AbstractContextManager[None]:
    """Let other runs know that this one is going on: by its first process."""
    folder = Path(str(trainer.log_dir))  # which the others ask the first one for
    return held(folder) if trainer.is_global_zero else nullcontext()


@contextmanager
def told_to_end(
    trainer: lightning.Trainer, settings: Settings, interruption: Interruption | None
) -> Iterator[None]:
    """Leave what a run leaves also where it is told to end, and have it say what it can go on from."""
    try:
        with as_interrupted(interruption):
            yield
        if interruption is not None and interruption.asked() and not is_over(trainer):
            raise interruption.end()  # in an epoch that was the last one for another reason
    except Interrupted as interrupted:
        log_dir = interrupted.log_dir = Path(str(trainer.log_dir))
        interrupted.checkpoint = newest(log_dir / "checkpoints", interrupted.checkpoint)
        if trainer.is_global_zero:
            draw(log_dir, title(settings))
        raise


@contextmanager
def restored(trainer: lightning.Trainer, settings: Settings) -> Iterator[None]:
    """Name a checkpoint that looked like one, and cannot be taken up.

    Raises:
        SettingsError: as `check_checkpoint`, of what only the trainer finds.
    """
    try:
        yield
    except (SettingsError, OSError):
        raise
    except Exception as error:
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        has_begun = any(isinstance(each, MidEpoch) and each.has_begun for each in callbacks)
        if settings.resume is None or has_begun:
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise SettingsError(
            f"--resume {settings.resume}: the checkpoint is damaged ({reason}); name another"
        ) from error


@contextmanager
def as_interrupted(interruption: Interruption | None) -> Iterator[None]:
    """Take an error for the end that was asked for: what is ended in the middle may fail to close."""
    try:
        yield
    except Exception as error:
        if interruption is None or not interruption.asked() or isinstance(error, TrainingStopped):
            raise
        raise interruption.end() from error


def is_over(trainer: lightning.Trainer) -> bool:
    return trainer.max_epochs is not None and trainer.current_epoch >= trainer.max_epochs


def newest(folder: Path, before: Path | None) -> Path | None:
    """The checkpoint that a run can go on from: its own, or else the one that it has come from."""
    for checkpoint in [folder / name for name in RESUMABLE]:
        if checkpoint.is_file():
            return checkpoint
    return before


def loaders(settings: Settings, data: ImageDataModule) -> tuple[Batches, Batches, Batches]:
    """What is trained by, what is validated by, and the training images as before any training."""
    if settings.overfit_batches is not None:
        few = data.few("train", settings.overfit_batches)
        return data.few("train", settings.overfit_batches, is_trained_by=True), few, few
    if settings.limit_batches is not None:
        few = data.few("val", settings.limit_batches)
        return data.train_dataloader(), few, data.few("train", settings.limit_batches)
    return data.train_dataloader(), data.val_dataloader(), data.untouched_train_dataloader()


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
    data, test = make_data(settings), RangeTest()
    classifier = make_classifier(settings, data)
    data.prepare_data()
    check_batch(settings, data)
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
