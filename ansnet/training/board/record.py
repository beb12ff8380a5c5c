"""When TensorBoard is given what: the callback that writes what `ansnet.training.board.pages` makes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ansnet.compatibility import lightning
from ansnet.training.board.confusion import accuracy_by_class
from ansnet.training.board.pages import Pages
from ansnet.training.board.predictions import Mistakes, Predictions

Trainer = lightning.Trainer
Module = lightning.LightningModule

SHARE = 0.02  # of a run's time, which pictures and histograms are to take at most
FIRST_COST = 0.5  # seconds, taken for what an epoch's cost before one has been measured
SEEN = 40  # images that are shown as the network sees them
ACTIVATED = 32  # images whose activations are counted


class BoardWarning(UserWarning):
    """Something of a run is not shown in TensorBoard; the run goes on."""


class BoardRecord(lightning.Callback):
    """Writes to the trainer's TensorBoard loggers, and to no others.

    ===========================  ====================================================================
    Images                       the first training batch as the network sees it; as often as
                                 ``every`` says: the confusion matrix with the accuracy by class, the
                                 most confident mistakes, the filters of the first layer
    Scalars                      ``val_by_class/…`` after every validation;
                                 ``speed/tensorboard_seconds``, what this callback has taken so far
    Histograms, Distributions    as often as ``every`` says: weights, gradients of the epoch's last
                                 step, activations of `ACTIVATED` training images
    Graphs                       the network
    Text                         what the logger was told of the run; the network by layers
    Custom Scalars               training and validation in one picture; all classes in one
    ===========================  ====================================================================

    The validation images are not shown to the network once more: their scores are those of the step
    that the module takes anyway, which returns them, ``{"scores": N × classes}``. No random number is
    drawn and no weight is touched, so that a run's figures are the same without it.

    Of several processes the first one writes; what is counted is everyone's.

    Args:
        every: pictures and histograms after every so many epochs, and after the last one; 0 for none;
            None for as often as all that is written takes at most `SHARE` of the time, besides what
            comes once, at the beginning and at the end. By the clock, two runs from the same seed may
            show different epochs.

    Attributes:
        seconds: what it has taken so far.
    """

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self.seconds = 0.0
        self.cost, self.start = FIRST_COST, perf_counter()
        self.predictions = Predictions()
        self.seen: Tensor | None = None
        self.by_class: list[tuple[int, list[float]]] = []  # each validation's step and accuracies
        self.validated: tuple[NDArray[Any], Mistakes, str] | None = None
        self.shown_at = 0
        self.is_introduced = self.has_layout = self.is_due = False

    def state_dict(self) -> dict[str, Any]:
        return {"by_class": self.by_class}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.by_class = list(state_dict["by_class"])

    def on_fit_start(self, trainer: Trainer, module: Module) -> None:
        if trainer.ckpt_path is not None:
            for step, shares in self.by_class:
                self.write(trainer, module, earlier(shares, step))

    def on_train_start(self, trainer: Trainer, module: Module) -> None:
        self.start = perf_counter()
        self.seen, self.is_due = None, False

    def on_train_batch_start(self, trainer: Trainer, module: Module, batch: Any, index: int) -> None:
        if not boards(trainer):
            return
        if self.seen is None:
            images, targets = batch
            self.seen = seen = images[:SEEN].detach().clone()
            self.write(trainer, module, lambda pages, step: pages.seen(seen, targets[:SEEN], step))
        if trainer.is_last_batch or trainer.global_step + 1 == trainer.max_steps:
            self.is_due = self.is_time(trainer)
            self.cost = 0.0 if self.is_due else self.cost

    def is_time(self, trainer: Trainer) -> bool:
        """Whether there are to be pictures and histograms of this epoch."""
        epoch = trainer.current_epoch + 1
        is_last = epoch == trainer.max_epochs or trainer.global_step + 1 == trainer.max_steps
        if self.every == 0 or is_last:
            return self.every != 0
        if self.every is not None:
            return epoch % self.every == 0
        # now, and once more after the last epoch
        return self.seconds + 2 * self.cost <= SHARE * (perf_counter() - self.start)

    def on_before_optimizer_step(self, trainer: Trainer, module: Module, optimizer: Any) -> None:
        if self.is_due:
            self.write(trainer, module, lambda pages, step: pages.gradients(network(module), step + 1))

    def on_validation_epoch_start(self, trainer: Trainer, module: Module) -> None:
        self.predictions = Predictions()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: Module,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        is_shown = boards(trainer) and dataloader_idx == 0 and not trainer.sanity_checking
        if is_shown and outputs is not None:
            with self.timed():
                images, targets = batch
                self.predictions.add(images, targets, outputs["scores"])

    def on_validation_epoch_end(self, trainer: Trainer, module: Module) -> None:
        if self.predictions.mistakes is None:
            return
        wait_for_device(trainer)
        with self.timed():
            counts = self.predictions.counts(trainer.strategy)
            mistakes = self.predictions.worst(trainer.strategy)
        image_shape = tuple(self.predictions.mistakes.images.shape[1:])
        self.predictions = Predictions()
        self.introduce(trainer, module, image_shape)
        if not self.has_layout:
            self.has_layout = True
            self.write(trainer, module, lambda pages, _: pages.layout(len(counts)))
        shares = accuracy_by_class(counts).tolist()
        self.by_class.append((step_of(trainer), shares))
        self.write(trainer, module, lambda pages, step: pages.by_class(shares, step))
        self.validated = counts, mistakes, moment(trainer)
        if self.is_due or (trainer.state.fn == "validate" and self.every != 0):
            self.show_validated(trainer, module)

    def on_train_epoch_end(self, trainer: Trainer, module: Module) -> None:
        if self.seen is None:
            return
        seen = trainer.precision_plugin.convert_input(self.seen[:ACTIVATED])
        self.introduce(trainer, module, tuple(seen.shape[1:]))
        if self.is_due:
            self.is_due = False
            self.show_network(trainer, module, seen)
        seconds = self.seconds
        self.write(
            trainer,
            module,
            lambda pages, step: pages.writer.add_scalar("speed/tensorboard_seconds", seconds, step),
        )

    def on_train_end(self, trainer: Trainer, module: Module) -> None:
        """Show what there is after an epoch that nobody knew to be the last: it was stopped early."""
        if self.seen is None or self.every == 0 or self.shown_at == trainer.global_step:
            return
        self.show_validated(trainer, module)
        self.show_network(
            trainer, module, trainer.precision_plugin.convert_input(self.seen[:ACTIVATED])
        )

    def show_validated(self, trainer: Trainer, module: Module) -> None:
        if self.validated is not None:
            (counts, mistakes, when), self.validated = self.validated, None
            self.write(trainer, module, lambda pages, step: pages.confusion(counts, when, step))
            self.write(trainer, module, lambda pages, step: pages.mistakes(mistakes, when, step))

    def show_network(self, trainer: Trainer, module: Module, images: Tensor) -> None:
        """Filters, weights, and activations by images, N × C × H × W."""
        self.shown_at = trainer.global_step
        shown, shape, when = network(module), tuple(images.shape[1:]), moment(trainer)
        self.write(trainer, module, lambda pages, step: pages.filters(shown, shape, when, step))
        self.write(trainer, module, lambda pages, step: pages.weights(shown, step))
        with trainer.precision_plugin.forward_context():
            self.write(trainer, module, lambda pages, step: pages.activations(shown, images, step))

    def introduce(self, trainer: Trainer, module: Module, image_shape: tuple[int, ...]) -> None:
        """Write what is known before the training, once."""
        if self.is_introduced:
            return
        self.is_introduced = True
        self.write(trainer, module, lambda pages, _: pages.settings())
        self.write(trainer, module, lambda pages, _: pages.network(network(module), image_shape))
        self.write(trainer, module, lambda pages, _: pages.graph(network(module), image_shape))

    def write(self, trainer: Trainer, module: Module, page: Callable[[Pages, int], object]) -> None:
        """Write a page, by the first process; what goes wrong with it is told, and ends no training."""
        if not trainer.is_global_zero:
            return
        wait_for_device(trainer)
        step = step_of(trainer)
        with self.timed():
            for logger in boards(trainer):
                classes = getattr(module, "classes", None)
                pages = Pages(logger, classes, getattr(module, "normalisation", None))
                try:
                    page(pages, step)
                except Exception as error:  # of anybody's network or images
                    warnings.warn(
                        f"not shown in TensorBoard, the run goes on: {type(error).__name__}: {error}",
                        BoardWarning,
                        stacklevel=2,
                    )

    @contextmanager
    def timed(self) -> Iterator[None]:
        start = perf_counter()
        yield
        passed = perf_counter() - start
        self.seconds += passed
        if self.is_due:
            self.cost += passed


def earlier(shares: list[float], step: int) -> Callable[[Pages, int], None]:
    """The accuracies by class of a step before the checkpoint that is resumed."""
    return lambda pages, _: pages.by_class(shares, step)


def step_of(trainer: Trainer) -> int:
    """Where Lightning places what it logs after the same epoch."""
    return max(trainer.global_step - 1, 0)


def boards(trainer: Trainer) -> list[Any]:
    kind = lightning.loggers.TensorBoardLogger
    return [logger for logger in trainer.loggers if isinstance(logger, kind)]


def network(module: Module) -> nn.Module:
    found: Any = getattr(module, "network", module)
    return found  # type: ignore[no-any-return]


def moment(trainer: Trainer) -> str:
    """When what is shown was measured, in words."""
    if trainer.state.fn != "fit":
        return "before this training"
    return f"after epoch {trainer.current_epoch + 1}"


def wait_for_device(trainer: Trainer) -> None:
    """Let the device finish what it was asked for before, which is not this callback's time."""
    if trainer.strategy.root_device.type == "cuda":
        torch.cuda.synchronize(trainer.strategy.root_device)
