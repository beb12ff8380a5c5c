"""Batch normalisation as layers.

They are subclasses of PyTorch's: parameters, buffers and their names, initialisation (weight 1,
bias 0, running mean 0, running variance 1), ``momentum=None`` and the state dict's version are
PyTorch's own, and whatever looks for batch normalisation in a network by its class (the conversion
to SyncBatchNorm, the averaging of weights) finds these too. Only the arithmetic is ours.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ansnet.functional import batch_norm1d, batch_norm2d, sync_batch_norm
from ansnet.modules.layer import Layer, leaf


class BatchNormFunction(Protocol):
    """The signature that `batch_norm1d` and `batch_norm2d` share."""

    def __call__(
        self,
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        training: bool,
        momentum: float,
        eps: float,
    ) -> Tensor: ...


class BatchNorm1d(Layer, nn.BatchNorm1d):
    """`ansnet.functional.batch_norm1d`, in the place of `torch.nn.BatchNorm1d`.

    Args: as `torch.nn.BatchNorm1d`.

    Shapes: N × C to N × C, or N × C × L to N × C × L.
    """

    twin = nn.BatchNorm1d

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return apply_batch_norm(self, batch_norm1d, input)


class BatchNorm2d(Layer, nn.BatchNorm2d):
    """`ansnet.functional.batch_norm2d`, in the place of `torch.nn.BatchNorm2d`.

    Args: as `torch.nn.BatchNorm2d`.

    Shapes: N × C × H × W to N × C × H × W.
    """

    twin = nn.BatchNorm2d

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return apply_batch_norm(self, batch_norm2d, input)


class SyncBatchNorm(Layer, _BatchNorm):
    """`ansnet.functional.sync_batch_norm`, in the place of `torch.nn.SyncBatchNorm`, on a CPU too.

    Alone of all layers it is no subclass of its twin, which
    `torch.nn.parallel.DistributedDataParallel` takes on a GPU only.

    Args: as `torch.nn.SyncBatchNorm`.

    Shapes: N × C × … to N × C × ….
    """

    twin = nn.SyncBatchNorm

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        self.process_group = process_group

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return apply_batch_norm(self, partial(sync_batch_norm, group=self.process_group), input)

    @classmethod
    def convert_sync_batchnorm(cls, module: nn.Module, process_group: Any = None) -> nn.Module:
        """As PyTorch's, in place: `ansnet.modules.synchronized`."""
        from ansnet.modules.conversion import synchronized

        return synchronized(module, process_group, inplace=True)


def apply_batch_norm(layer: _BatchNorm, function: BatchNormFunction, input: Tensor) -> Tensor:
    """Normalise by the batch when training or without running averages, and keep those up."""
    momentum = layer.momentum
    updates = layer.training and layer.track_running_stats
    if updates and layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
        if momentum is None:  # the plain average of all batches so far
            momentum = 1 / int(layer.num_batches_tracked)
    uses_running = updates or not layer.training
    return function(
        input,
        layer.weight,
        layer.bias,
        layer.running_mean if uses_running else None,
        layer.running_var if uses_running else None,
        layer.training or layer.running_mean is None,
        momentum or 0.0,
        layer.eps,
    )
