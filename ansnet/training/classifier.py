"""The LightningModule that trains an image classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ansnet.compatibility import lightning, torchmetrics
from ansnet.modules import SoftmaxCrossEntropy
from ansnet.training.metrics import accuracy
from ansnet.training.settings import OPTIMIZERS

Batch = tuple[Tensor, Tensor]


class SubsetMeans(nn.Module):
    """Loss and accuracy over a whole subset, each image weighing the same."""

    def __init__(self) -> None:
        super().__init__()
        # what is not a number is neither looked for, which would wait for the device, nor left out
        self.loss = torchmetrics.MeanMetric(nan_strategy="disable")
        self.accuracy = torchmetrics.MeanMetric(nan_strategy="disable")

    def update(self, figures: Tensor, images: int) -> None:
        """Count the means over a batch, a tensor of the two."""
        self.loss.update(figures[0], images)
        self.accuracy.update(figures[1], images)


class ImageClassifier(lightning.LightningModule):
    """Trains and validates any network that maps images to class scores.

    Args:
        network: N × 3 × H × W to N × classes.
        criterion: the loss; None is `SoftmaxCrossEntropy`.
        optimizer: ``"adam"`` or ``"sgd"``.
        lr: learning rate, the same throughout.
        momentum: of SGD.
        weight_decay: added to the gradient as ``weight_decay · w`` (L2).

    Logs, each under the name that it has in TensorBoard and in ``metrics.csv``:

    ==================================  ========================================================
    ``train/loss``, ``train/accuracy``  over the epoch, while the weights moved
    ``val/loss``, ``val/accuracy``      over the validation images, after the epoch
    ``epoch``                           number of epochs completed
    ==================================  ========================================================

    Those of each step are returned by ``training_step``, for `ansnet.training.callbacks.StepLog`.

    Validated on two loaders, as `ansnet.training.run` does before training, it takes the first for
    the validation images and the second for the training images.

    Raises:
        ValueError: the optimizer is unknown.
    """

    def __init__(
        self,
        network: nn.Module,
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
        self.train_means = SubsetMeans()
        self.val_means = SubsetMeans()

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.network(images)
        return scores

    def training_step(self, batch: Batch, batch_index: int) -> dict[str, Tensor]:
        loss, figures = self.measure(batch)
        self.count("train", figures, len(batch[1]), log=self.trainer.is_last_batch)
        return {"loss": loss, "figures": figures}

    def validation_step(self, batch: Batch, batch_index: int, dataloader_idx: int = 0) -> None:
        _, figures = self.measure(batch)
        self.count(("val", "train")[dataloader_idx], figures, len(batch[1]))

    def measure(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss of a batch; and its loss and accuracy, to be reported, in one tensor."""
        images, targets = batch
        scores = self(images)
        loss: Tensor = self.criterion(scores, targets)
        return loss, torch.stack([loss.detach().float(), accuracy(scores.detach(), targets)])

    def on_validation_epoch_end(self) -> None:
        self.log("epoch", float(self.current_epoch + (self.trainer.state.fn == "fit")))

    def on_train_epoch_end(self) -> None:
        self.log("epoch", float(self.current_epoch + 1))

    def count(self, subset: str, figures: Tensor, images: int, log: bool = True) -> None:
        """Count a batch's figures towards the epoch's, and have those logged at its end."""
        means = self.train_means if subset == "train" else self.val_means
        means.update(figures, images)
        if log:
            self.log_dict(
                {f"{subset}/loss": means.loss, f"{subset}/accuracy": means.accuracy},
                on_step=False,
                on_epoch=True,
                batch_size=images,
                add_dataloader_idx=False,
            )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        fused = self.device.type in ("cpu", "cuda")  # the whole step as one kernel
        if self.optimizer == "adam":
            return torch.optim.Adam(
                self.parameters(), self.lr, weight_decay=self.weight_decay, fused=fused
            )
        return torch.optim.SGD(
            self.parameters(),
            self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            fused=fused,
        )

    def on_train_start(self) -> None:
        """Lay a checkpoint's moments out in memory as the weights are.

        Fused optimizers walk through both in the order of memory, and do not check that it is one.
        """
        for parameter, state in self.trainer.optimizers[0].state.items():
            for name, moment in state.items():
                if isinstance(moment, Tensor) and moment.shape == parameter.shape:
                    state[name] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)
