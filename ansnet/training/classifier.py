"""The LightningModule that trains an image classifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ansnet.compatibility import lightning, torchmetrics
from ansnet.modules import SoftmaxCrossEntropy
from ansnet.training.description import (
    NotDescribedError,
    build_criterion,
    build_network,
    describe_criterion,
    describe_network,
)
from ansnet.training.metrics import accuracy
from ansnet.training.muon import Muon
from ansnet.training.recipes import OPTIMIZERS, SCHEDULES
from ansnet.training.schedule import learning_rate_factor
from ansnet.training.views import other_views

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig

LearningRateFinder = lightning.callbacks.LearningRateFinder

Batch = tuple[Tensor, Tensor]


class Mean(torchmetrics.MeanMetric):
    """A mean that is summed up in float32, whatever the network computes in.

    torchmetrics 1.9 lets ``module.to(torch.bfloat16)``, by which Lightning prepares ``bf16-true``,
    convert the sums too. In 8 bits of mantissa a sum of ones stands still at 256.
    """

    def __init__(self) -> None:
        # what is not a number is neither looked for, which would wait for the device, nor left out
        super().__init__(nan_strategy="disable")

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> nn.Module:
        return super()._apply(lambda tensor: fn(tensor).to(tensor.dtype), exclude_state)


class Share(Mean):
    """A share of images, in whole numbers, which are added up to the same in any order.

    So the accuracy is the same however many processes share the images, to the last bit.
    """

    def update(self, share: Tensor, images: int) -> None:  # type: ignore[override]
        """Count a share of so many images."""
        if images:  # of none there is no share
            self.mean_value += (share * images).round()
            self.weight += images


class SubsetMeans(nn.Module):
    """Loss and accuracy over a whole subset, each image weighing the same."""

    def __init__(self) -> None:
        super().__init__()
        self.loss, self.accuracy = Mean(), Share()

    def update(self, figures: Tensor, images: int) -> None:
        """Count the means over a batch, a tensor of the two."""
        # once for each image: with its looking for NaN disabled, torchmetrics 1.9 ignores a weight
        self.loss.update(figures[0].expand(images))
        self.accuracy.update(figures[1], images)


class ImageClassifier(lightning.LightningModule):
    """Trains, validates and tests any network that maps images to class scores.

    Args:
        network: N × 3 × H × W to N × classes; or what a checkpoint says of it
            (`ansnet.training.description`).
        criterion: the loss, or what a checkpoint says of it; None is `SoftmaxCrossEntropy`.
        optimizer: ``"adam"``, ``"adamw"``, ``"sgd"`` or ``"muon"`` (`ansnet.training.muon`).
        lr: learning rate, at its highest.
        bias_lr_factor: what that of biases and of the parameters of normalisations is multiplied by
            (Page, *How to train your ResNet*, 2018, part 8; by 64 there).
        momentum: of SGD and Muon.
        nesterov: take SGD's gradient a step of the momentum ahead (Sutskever et al., *On the importance
            of initialization and momentum in deep learning*, 2013), as Muon always does.
        weight_decay: added to the gradient as ``weight_decay · w`` (L2); by AdamW and Muon taken from
            the weights themselves, ``lr · weight_decay · w`` a step (Loshchilov and Hutter, *Decoupled
            weight decay regularization*, 2019).
        decay_biases: that of biases and of the parameters of normalisations, too.
        schedule, warmup: of the learning rate, see `learning_rate_factor`.
        test_time_flip, test_time_shift: after the last epoch, validate also by the scores of an image
            and its mirror image, of an image and what it is shifted to, or of all these together
            (`ansnet.training.views`); and test by them.
        classes: the names of the classes, in the order of their indices.
        normalisation: ``mean`` and ``std`` of red, green and blue, in 0..1, by which the images are
            normalised: ``torchvision.transforms.Normalize(**classifier.normalisation)``.
        dataset: the name of the data set.

    Attributes:
        origin: where trained weights are from that a training begins with, in words; None if it begins
            with random ones.

    All of the arguments are attributes, and a checkpoint names all of them, so that
    ``ImageClassifier.load_from_checkpoint(path)`` needs nothing else. But a network that no notation
    describes, or a loss with weights of its own, has to be passed to it, as ``network=`` or
    ``criterion=``.

    Logs, each under the name that it has in TensorBoard and in ``metrics.csv``:

    ==================================  ========================================================
    ``train/loss``, ``train/accuracy``  over the epoch, while the weights moved
    ``val/loss``, ``val/accuracy``      over the validation images, after the epoch
    ``val/accuracy_tta``                the same with test-time augmentation, after the last epoch
    ``test/loss``, ``test/accuracy``    over the images that ``trainer.test`` is given
    ``test/accuracy_tta``               the same with test-time augmentation
    ``epoch``                           number of epochs completed
    ==================================  ========================================================

    Each loss is the criterion's, of the validation images too: label smoothing makes both higher. Those
    of each step are returned by ``training_step``, for `ansnet.training.callbacks.StepLog`, and the
    scores by ``validation_step``, for `ansnet.training.board.record.BoardRecord`.

    Validated on two loaders, as `ansnet.training.run` does before training, it takes the first for
    the validation images and the second for the training images.

    ``trainer.predict`` takes batches of images, alone or with their classes, and gives their scores.

    Raises:
        ValueError: the optimizer or the schedule is unknown; no network is given, or only the class of
            one (`NotDescribedError`); or, when a training begins, the trainer has the callback
            ``LearningRateFinder``, which would have no effect.
    """

    # what `torch.jit.script` is not to compile
    __jit_unused_properties__: list[str] = [  # noqa: RUF012  as in Lightning
        *lightning.LightningModule.__jit_unused_properties__,
        "has_other_views",
        "is_last_epoch",
    ]

    def __init__(
        self,
        network: nn.Module | Mapping[str, Any] | None = None,
        criterion: nn.Module | Mapping[str, Any] | None = None,
        optimizer: str = "adam",
        lr: float = 1e-3,
        bias_lr_factor: float = 1.0,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        decay_biases: bool = False,
        schedule: str = "constant",
        warmup: float = 0.0,
        test_time_flip: bool = False,
        test_time_shift: bool = False,
        classes: Sequence[str] | None = None,
        normalisation: Mapping[str, Sequence[float]] | None = None,
        dataset: str | None = None,
    ) -> None:
        super().__init__()
        if network is None:
            raise NotDescribedError(
                "no network is given, and a checkpoint of an older ansnet does not name its own; pass "
                "network="
            )
        if optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
        if classes is not None:
            classes = tuple(map(str, classes))
        if normalisation is not None:
            normalisation = {name: tuple(map(float, each)) for name, each in normalisation.items()}
        self.save_hyperparameters(ignore=["network", "criterion"], logger=False)
        self.network = build_network(network) if isinstance(network, Mapping) else network
        if criterion is None:
            criterion = SoftmaxCrossEntropy()
        self.criterion = build_criterion(criterion) if isinstance(criterion, Mapping) else criterion
        self.optimizer = optimizer
        self.lr = lr
        self.bias_lr_factor = bias_lr_factor
        self.momentum = momentum
        self.nesterov = nesterov
        self.weight_decay = weight_decay
        self.decay_biases = decay_biases
        self.schedule = schedule
        self.warmup = warmup
        self.test_time_flip = test_time_flip
        self.test_time_shift = test_time_shift
        self.classes = classes
        self.normalisation = normalisation
        self.dataset = dataset
        self.origin: str | None = None
        self.told: list[dict[str, Any]] = []  # what the optimizer was made with
        self.augmented_accuracy = Share()
        self.train_means = SubsetMeans()
        self.val_means = SubsetMeans()
        self.test_means = SubsetMeans()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Name the network and the loss as they are now, unless a subclass has named its own."""
        named, taken = checkpoint["hyper_parameters"], signature(type(self).__init__).parameters
        if "network" in taken:  # or else a subclass makes its own
            named.setdefault("network", describe_network(self.network))
        if "criterion" in taken:
            named.setdefault("criterion", describe_criterion(self.criterion))

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.network(images)
        return scores

    def training_step(self, batch: Batch, batch_index: int) -> dict[str, Tensor]:
        scores, loss, figures = self.measure(batch)
        self.train_means.update(figures, len(batch[1]))
        # a copy, as in `predict_step`, for callbacks
        return {"loss": loss, "figures": figures, "scores": scores.detach().clone()}

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Log the epoch's figures once: after its last batch, or the one at which it is broken off."""
        if self.trainer.is_last_batch or self.trainer.should_stop:
            self.log_means("train", len(batch[1]))

    def validation_step(
        self, batch: Batch, batch_index: int, dataloader_idx: int = 0
    ) -> dict[str, Tensor]:
        scores, _, figures = self.measure(batch)
        outputs = {"scores": scores.clone()}  # a copy, as in `predict_step`, for callbacks
        self.count(("val", "train")[dataloader_idx], figures, len(batch[1]))
        if self.has_other_views and self.is_last_epoch:
            self.show_other_views("val", batch, scores)
        return outputs

    def test_step(self, batch: Batch, batch_index: int) -> None:
        scores, _, figures = self.measure(batch)
        self.count("test", figures, len(batch[1]))
        if self.has_other_views:
            self.show_other_views("test", batch, scores)

    def predict_step(
        self, batch: Tensor | Sequence[Tensor], batch_index: int = 0, dataloader_idx: int = 0
    ) -> Tensor:
        scores: Tensor = self(batch if isinstance(batch, Tensor) else batch[0])
        # a copy: compiled for CUDA, the network writes its scores to the same place each time
        return scores.clone()

    def show_other_views(self, subset: str, batch: Batch, scores: Tensor) -> None:
        """Log the accuracy with test-time augmentation."""
        images, targets = batch
        # a copy, as in `predict_step`
        total = scores.to(torch.promote_types(scores.dtype, torch.float32), copy=True)
        for view, weight in other_views(images, self.test_time_flip, self.test_time_shift):
            total += weight * self(view)
        self.augmented_accuracy.update(accuracy(total, targets), len(targets))
        self.log(f"{subset}/accuracy_tta", self.augmented_accuracy, batch_size=len(targets))

    @property
    def has_other_views(self) -> bool:
        return self.test_time_flip or self.test_time_shift

    @property
    def is_last_epoch(self) -> bool:
        trainer = self.trainer
        last = self.current_epoch + 1 == trainer.max_epochs or trainer.should_stop  # by --max-time
        return trainer.state.fn == "fit" and last

    def measure(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """The scores of a batch; its loss; and loss and accuracy, to be reported, in one tensor."""
        images, targets = batch
        scores = self(images)
        loss: Tensor = self.criterion(scores, targets)
        figures = torch.stack([loss.detach().float(), accuracy(scores.detach(), targets)])
        return scores, loss, figures

    def on_validation_epoch_end(self) -> None:
        self.log("epoch", float(self.current_epoch + (self.trainer.state.fn == "fit")))

    def on_train_epoch_end(self) -> None:
        self.log("epoch", float(self.current_epoch + 1))

    def count(self, subset: str, figures: Tensor, images: int) -> None:
        """Count a batch's figures towards the epoch's, and have those logged at its end."""
        self.means(subset).update(figures, images)
        self.log_means(subset, images)

    def means(self, subset: str) -> SubsetMeans:
        return {"train": self.train_means, "val": self.val_means, "test": self.test_means}[subset]

    def log_means(self, subset: str, images: int) -> None:
        means = self.means(subset)
        self.log_dict(
            {f"{subset}/loss": means.loss, f"{subset}/accuracy": means.accuracy},
            on_step=False,
            on_epoch=True,
            batch_size=images,
            add_dataloader_idx=False,
        )

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        callbacks: Any = getattr(self.trainer, "callbacks", [])
        for callback in callbacks:
            # not `Tuner.lr_find`'s own, which leaves the training when it has searched
            if isinstance(callback, LearningRateFinder) and not callback._early_exit:
                raise ValueError(
                    "LearningRateFinder has no effect as a callback: the schedule, which sets the rate "
                    "at each step, does not know what it finds; use Tuner(trainer).lr_find(classifier, "
                    "…) before trainer.fit, or python train.py --find-lr"
                )
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer = self.make_optimizer()
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, steps, self.schedule, self.warmup)
        )
        self.told = [
            {name: value for name, value in group.items() if name != "params"}
            for group in optimizer.param_groups
        ]
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def make_optimizer(self) -> torch.optim.Optimizer:
        weights = [parameter for parameter in self.parameters() if parameter.ndim > 1]
        biases = [parameter for parameter in self.parameters() if parameter.ndim < 2]
        groups = [
            {"params": weights, "weight_decay": self.weight_decay},
            {
                "params": biases,
                "lr": self.lr * self.bias_lr_factor,
                "weight_decay": self.weight_decay if self.decay_biases else 0.0,
            },
        ]
        clips = self._trainer is not None and self._trainer.gradient_clip_val is not None
        # the whole step as one kernel, which would also undo the scaling of 16 bits: too late to clip
        fused = self.device.type in ("cpu", "cuda") and not clips
        if self.optimizer == "adam":
            return torch.optim.Adam(groups, self.lr, fused=fused)
        if self.optimizer == "adamw":
            return torch.optim.AdamW(groups, self.lr, fused=fused)
        if self.optimizer == "sgd":
            nesterov = self.nesterov and self.momentum > 0  # which PyTorch insists on
            return torch.optim.SGD(
                groups, self.lr, momentum=self.momentum, nesterov=nesterov, fused=fused
            )
        return Muon(groups, self.lr, self.momentum)

    def on_train_start(self) -> None:
        """Take up a checkpoint: with the rates of now, and with moments laid out as the weights.

        Fused optimizers walk through both in the order of memory, and do not check that it is one.
        """
        if self.trainer.ckpt_path is not None and self.told:  # a subclass may make its own optimizer
            self.take_what_is_told()
        for parameter, state in self.trainer.optimizers[0].state.items():
            for name, moment in state.items():
                if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                    state[name] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)

    def take_what_is_told(self) -> None:
        """Put learning rate, momentum and decay as they are set in place of a checkpoint's.

        Where they are the same, so is every bit.
        """
        (scheduler,) = (config.scheduler for config in self.trainer.lr_scheduler_configs)
        assert isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR)
        scheduler.base_lrs = [group["initial_lr"] for group in self.told]
        factor = learning_rate_factor(
            scheduler.last_epoch,
            int(self.trainer.estimated_stepping_batches),
            self.schedule,
            self.warmup,
        )
        for group, told in zip(self.trainer.optimizers[0].param_groups, self.told, strict=True):
            group.update({**told, "lr": told["initial_lr"] * factor})

    def on_train_end(self) -> None:
        """Let go of the last gradients.

        Where the network is compiled into graphs these lie in memory that the next graph writes to, and
        Lightning would move them to the CPU together with the weights.
        """
        for optimizer in self.trainer.optimizers:
            optimizer.zero_grad()
