"""Whether the numbers of a training are still numbers: losses, weights, what an optimizer keeps.

A loss is not a number, or infinite, after a step that was too long, and for an image that a network
overflows on. From then on nothing is learnt, and what is saved is of no use. So the training stops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import isfinite
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from ansnet.compatibility import lightning
from ansnet.data.batches import Batches
from ansnet.training.callbacks import StepLog
from ansnet.training.classifier import Batch
from ansnet.training.stopped import TrainingStopped, gradient_that_is_no_number

Trainer = lightning.Trainer
LightningModule = lightning.LightningModule

NAMED = 8  # images, or weights, in a message
MEMORY = 2**26  # bytes of scores that are kept until they are looked at


@dataclass(frozen=True)
class Measured:
    """A batch that was trained on.

    Attributes:
        step: that its gradient belongs to, as ``metrics.csv`` counts them.
        batch: its number in the epoch.
        rate: the learning rate of the step.
        loss: of the batch, a scalar that stays on its device.
        scores: N × C.
        targets: N class indices.
    """

    step: int
    batch: int
    rate: float
    loss: Tensor
    scores: Tensor
    targets: Tensor


@dataclass
class Finding:
    """What one process has found.

    Attributes:
        measured: the step, the number of the batch, the rate and the loss of the first batch whose loss
            is not finite; None if there is none.
        images: of the whole batch.
        bad: which of them have a loss of their own that is not finite.
        broken: what holds numbers that are not finite: weights, what an optimizer keeps.
        before: the last loss before that is finite.
    """

    measured: tuple[int, int, float, float] | None = None
    images: int = 0
    bad: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    before: tuple[int, float, float] | None = None


class FiniteWatch(lightning.Callback):
    """Stops the training where a loss, a weight or what the optimizer keeps is not finite.

    The losses stay on the device. They are looked at about once a second, with the last batch of an
    epoch, and before a checkpoint is written; weights and the optimizer's state with the last batch and
    before a checkpoint. So no checkpoint holds anything that is not finite, and the device need not be
    waited for after every step.

    Under ``16-mixed`` a step is left out, by design, whose *gradient* overflows when it is multiplied
    by the scale; its loss and the weights are finite, and nothing is stopped.

    Several processes look at the same times, and each stops if one has found something: for the time to
    the next look is counted in batches, from what the first process has measured.

    Raises:
        TrainingStopped: naming the step, the images, the rate.
    """

    interval = 1.0  # seconds

    def __init__(self) -> None:
        self.pending: list[Measured] = []
        self.validated: list[tuple[int, int, Tensor, Tensor]] = []
        self.before: tuple[int, float, float] | None = None

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.pending = []
        self.due, self.looked_at = 1, perf_counter()

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Batch, index: int
    ) -> None:
        self.step = trainer.global_step
        self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        loss, scores = outputs["figures"][0], outputs["scores"]
        self.pending.append(Measured(self.step, index, self.rate, loss, scores, batch[1]))
        is_last = trainer.is_last_batch or trainer.should_stop
        if is_last or len(self.pending) >= self.due:
            batches = len(self.pending)
            self.look(trainer, module, weights(module) if is_last else ())
            seconds = trainer.strategy.broadcast(perf_counter() - self.looked_at)
            self.due = min(2 * batches, int(batches * self.interval / seconds), MEMORY // scores.nbytes)
            self.looked_at = perf_counter()

    def on_save_checkpoint(
        self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.look(trainer, module, saved(checkpoint, module))

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Have the steps written that have not been, while the loggers are still open."""
        if isinstance(exception, TrainingStopped) or gradient_that_is_no_number(exception):
            for callback in trainer.callbacks:  # type: ignore[attr-defined]
                if isinstance(callback, StepLog) and getattr(callback, "steps", None):
                    callback.on_train_end(trainer, module)

    def look(
        self, trainer: Trainer, module: LightningModule, tensors: Iterable[tuple[str, Tensor]]
    ) -> None:
        """Look at the losses of the batches since the last time, and at tensors, by their names."""
        pending, self.pending = self.pending, []
        finding = Finding(broken=not_finite(tensors))
        losses = torch.stack([each.loss for each in pending]).tolist() if pending else []
        for each, loss in zip(pending, losses, strict=True):
            if not isfinite(loss):
                bad = own_losses_not_finite(module, each.scores, each.targets)
                finding.measured = (each.step, each.batch, each.rate, loss)
                finding.images = len(each.targets)
                finding.bad = places(trainer.train_dataloader, trainer.current_epoch, each.batch, bad)
                break
            self.before = each.step, loss, each.rate
        finding.before = self.before
        found = bool(finding.measured or finding.broken)
        if trainer.strategy.reduce_boolean_decision(found, all=False):
            raise told(gathered(finding), trainer)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.validated = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.validated.append((dataloader_idx, batch_idx, outputs["scores"], batch[1]))

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        validated, self.validated = self.validated, []
        for number, subset in enumerate(("val", "train")[: 1 + (trainer.state.fn == "validate")]):
            loss = float(trainer.callback_metrics.get(f"{subset}/loss", 0.0))
            if isfinite(loss):
                continue
            finding, criterion = Finding(), criterion_of(module)
            loaders = trainer.val_dataloaders
            loader = loaders[number] if isinstance(loaders, Sequence) else loaders
            for of_loader, batch, scores, targets in validated:
                if of_loader == number:
                    finding.images += len(targets)
                    if not isfinite(float(criterion(scores, targets))):
                        bad = own_losses_not_finite(module, scores, targets)
                        finding.bad += places(loader, 0, batch, bad)
            finding = together(gathered(finding))
            when = f"after epoch {trainer.current_epoch + 1}"
            if trainer.state.fn == "validate":
                when = "before the first step"
            name = {"val": "validation", "train": "training"}[subset]
            raise TrainingStopped(
                f"the loss over the {name} images is not finite {when}: {loss}",
                {"images": f"{in_words(finding, name)}"},
            )


def told(findings: Sequence[Finding], trainer: Trainer) -> TrainingStopped:
    """What is said of what the processes have found."""
    finding = together(findings)
    epoch = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
    if finding.measured is not None:
        step, batch, rate, loss = finding.measured
        return TrainingStopped(
            f"the loss is not finite at step {step} ({epoch}, batch {batch + 1} of "
            f"{trainer.num_training_batches}): {loss}",
            {"images": in_words(finding, "training"), "rate": f"{rate:g} at this step"},
        )
    after = f"({epoch})"
    details = {"not finite": some(finding.broken)}
    if finding.before is not None:
        step, loss, rate = finding.before
        after = f"after step {step} ({epoch}), whose loss was {loss:.4g}"
        details["rate"] = f"{rate:g} at this step"
    return TrainingStopped(f"{kind(finding.broken)} not finite {after}", details)


def kind(broken: Sequence[str]) -> str:
    """What is broken, the worst first: the names are those of `weights` and `saved`."""
    if all(" of " in name for name in broken):
        return "what the optimizer keeps is"
    if all(" of " in name or ".running_" in name for name in broken):
        return "the running statistics of a normalisation are"
    return "weights are"


def in_words(finding: Finding, subset: str) -> str:
    """Which images have a loss of their own that is not finite."""
    count, images = len(finding.bad), finding.images
    if count == images:
        return f"all {images:,}, as where the weights are the cause: {some(sorted(finding.bad))}"
    if not count:
        return f"of the {images:,} images none by its own loss, which is finite for each"
    return f"{count:,} of {images:,}, by their indices in the {subset} set: {some(sorted(finding.bad))}"


def some(things: Sequence[object]) -> str:
    """The first few, and how many more there are."""
    more = [f"and {len(things) - NAMED:,} more"] if len(things) > NAMED else []
    return ", ".join([*map(str, things[:NAMED]), *more])


def together(findings: Sequence[Finding]) -> Finding:
    """What several processes have found of the first step that one of them is stopped by."""
    first = min((each.measured[0] for each in findings if each.measured), default=None)
    same = [each for each in findings if first is None or (each.measured and each.measured[0] == first)]
    return Finding(
        measured=same[0].measured,
        images=sum(each.images for each in same),
        bad=[place for each in same for place in each.bad],
        broken=list(dict.fromkeys(name for each in findings for name in each.broken)),
        before=next((each.before for each in findings if each.broken), None),
    )


def gathered(finding: Finding) -> list[Finding]:
    """Each process's."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return [finding]
    findings: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(findings, finding)
    return findings


def own_losses_not_finite(module: LightningModule, scores: Tensor, targets: Tensor) -> list[int]:
    """Places in the batch of the images whose own loss is not finite."""
    criterion = criterion_of(module)
    with torch.no_grad():
        losses = [criterion(scores[i : i + 1], targets[i : i + 1]) for i in range(len(targets))]
    return [i for i, loss in enumerate(losses) if not isfinite(float(loss))]


def criterion_of(module: LightningModule) -> nn.Module:
    found: Any = module.criterion
    return found  # type: ignore[no-any-return]


def places(loader: Any, epoch: int, batch: int, bad: list[int]) -> list[int]:
    """Indices in the subset of images of a batch; of a loader that is none of ours, in the batch."""
    if not isinstance(loader, Batches):
        return bad
    indices = loader.indices(epoch, batch).tolist()
    return [indices[i] for i in bad]


def weights(module: LightningModule) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers, such as the running statistics of a normalisation."""
    return chain(module.named_parameters(), module.named_buffers())


def saved(checkpoint: Mapping[str, Any], module: LightningModule) -> Iterator[tuple[str, Tensor]]:
    """What a checkpoint holds: weights, averaged ones too, and what an optimizer keeps."""
    for part in ("state_dict", "current_model_state"):
        yield from checkpoint.get(part, {}).items()
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    for state, optimizer in zip(
        checkpoint.get("optimizer_states", []), module.trainer.optimizers, strict=True
    ):
        parameters = [each for group in optimizer.param_groups for each in group["params"]]
        for number, kept in state["state"].items():
            for name, value in kept.items():
                where = number
                if isinstance(number, int):
                    where = names.get(id(parameters[number]), number)
                yield f"{name} of {where}", value


def not_finite(tensors: Iterable[tuple[str, Any]]) -> list[str]:
    """The names of the tensors that hold a number that is not finite."""
    named = {
        name: tensor
        for name, tensor in tensors
        if isinstance(tensor, Tensor) and tensor.is_floating_point()
    }
    by_device: dict[torch.device, list[str]] = {}
    for name, tensor in named.items():
        by_device.setdefault(tensor.device, []).append(name)
    found: list[str] = []
    for names in by_device.values():
        finite = torch.stack([named[name].isfinite().all() for name in names]).tolist()  # one wait
        found += [name for name, is_finite in zip(names, finite, strict=True) if not is_finite]
    return found
