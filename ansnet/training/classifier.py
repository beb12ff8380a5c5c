"""The LightningModule that trains an image classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ansnet.compatibility import lightning, torchmetrics
from ansnet.modules import SoftmaxCrossEntropy
from ansnet.training.metrics import accuracy
from ansnet.training.settings import OPTIMIZERS

Batch = tuple[Tensor, Tensor]


class SubsetMetrics(nn.Module):
    """Loss and accuracy over a whole subset, each sample weighing the same."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.loss = torchmetrics.MeanMetric()
        self.accuracy = torchmetrics.classification.MulticlassAccuracy(num_classes, average="micro")

    def update(self, loss: Tensor, scores: Tensor, targets: Tensor) -> None:
        self.loss.update(loss, weight=len(targets))
        self.accuracy.update(scores, targets)


class ImageClassifier(lightning.LightningModule):
    """Trains and validates any network that maps images to class scores.

    Args:
        network: N × 3 × H × W to N × num_classes.
        num_classes: number of classes.
        criterion: the loss; None is `SoftmaxCrossEntropy`.
        optimizer: ``"adam"`` or ``"sgd"``.
        lr: learning rate, the same throughout.
        momentum: of SGD.
        weight_decay: added to the gradient as ``weight_decay · w`` (L2).

    Logs, each under the name that it has in TensorBoard and in ``metrics.csv``:

    ============================================  ==============================================
    ``train/loss_step``, ``train/accuracy_step``  of each training batch
    ``learning_rate``                             at each step
    ``train/loss``, ``train/accuracy``            over the epoch, while the weights moved
    ``val/loss``, ``val/accuracy``                over the validation images, after the epoch
    ``epoch``                                     number of epochs completed
    ============================================  ==============================================

    Validated on two loaders, as `ansnet.training.run` does before training, it takes the first for
    the validation images and the second for the training images.

    Raises:
        ValueError: the optimizer is unknown.
    """

    def __init__(
        self,
        network: nn.Module,
        num_classes: int = 10,
        criterion: nn.Module | None = None,
        optimizer: str = "adam",
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        if optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer!r}")
        self.save_hyperparameters(ignore=["network", "criterion"], logger=False)
        self.network = network
        self.criterion = SoftmaxCrossEntropy() if criterion is None else criterion
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.train_metrics = SubsetMetrics(num_classes)
        self.val_metrics = SubsetMetrics(num_classes)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.network(images)
        return scores

    def training_step(self, batch: Batch, batch_index: int) -> dict[str, Tensor]:
        loss, scores = self.measure(batch, "train")
        batch_accuracy = accuracy(scores.detach(), batch[1])
        steps = {"train/loss_step": loss.detach(), "train/accuracy_step": batch_accuracy}
        learning_rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log_dict({**steps, "learning_rate": learning_rate}, on_epoch=False)
        return {"loss": loss, "accuracy": batch_accuracy}

    def validation_step(self, batch: Batch, batch_index: int, dataloader_idx: int = 0) -> None:
        self.measure(batch, ("val", "train")[dataloader_idx])

    def on_validation_epoch_end(self) -> None:
        self.log("epoch", float(self.current_epoch + (self.trainer.state.fn == "fit")))

    def on_train_epoch_end(self) -> None:
        self.log("epoch", float(self.current_epoch + 1))

    def measure(self, batch: Batch, subset: str) -> tuple[Tensor, Tensor]:
        """Loss and scores of a batch, which also count towards the epoch's figures of its subset."""
        images, targets = batch
        scores = self(images)
        loss: Tensor = self.criterion(scores, targets)
        metrics = self.train_metrics if subset == "train" else self.val_metrics
        metrics.update(loss.detach(), scores.detach(), targets)
        self.log_dict(
            {f"{subset}/loss": metrics.loss, f"{subset}/accuracy": metrics.accuracy},
            on_step=False,
            on_epoch=True,
            batch_size=len(targets),
            add_dataloader_idx=False,
        )
        return loss, scores

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.optimizer == "adam":
            return torch.optim.Adam(self.parameters(), self.lr, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            self.parameters(), self.lr, momentum=self.momentum, weight_decay=self.weight_decay
        )
