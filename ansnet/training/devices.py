"""Several devices, each with a process of its own, and what these have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ansnet.compatibility import lightning
from ansnet.data import ImageDataModule
from ansnet.modules import synchronized
from ansnet.training.settings import Settings, SettingsError

if TYPE_CHECKING:
    from lightning.pytorch.plugins import LayerSync
else:
    LayerSync = lightning.plugins.LayerSync


class SynchronizedBatchNorm(LayerSync):
    """Lightning's plugin for ``sync_batchnorm`` with ansnet's formula, which a CPU has too.

    ``Trainer(plugins=[SynchronizedBatchNorm()])`` converts a network's batch normalisations when a
    training begins, and converts them back when it is over.
    """

    def __init__(self) -> None:
        self.classes: dict[nn.Module, type] = {}

    def apply(self, model: nn.Module) -> nn.Module:
        layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        self.classes = {layer: type(layer) for layer in layers}
        return synchronized(model, inplace=True)

    def revert(self, model: nn.Module) -> nn.Module:
        for layer, kind in self.classes.items():
            layer.__class__ = kind
        self.classes = {}
        return model


def number_of_processes(settings: Settings) -> int:
    """Those of all machines."""
    return settings.devices * settings.num_nodes


def process_options(settings: Settings) -> dict[str, Any]:
    """What a trainer is told of its processes."""
    several = number_of_processes(settings) > 1
    return {
        "devices": settings.devices,
        "num_nodes": settings.num_nodes,
        # Lightning's own choice, but also where it sees a notebook, which it would fork
        "strategy": "ddp" if several and settings.strategy == "auto" else settings.strategy,
        "sync_batchnorm": several and bool(settings.sync_batchnorm) and settings.ops == "torch",
    }


def process_plugins(settings: Settings) -> list[Any]:
    """The plugins that a trainer of several processes is given."""
    several = number_of_processes(settings) > 1
    synchronizes = several and settings.sync_batchnorm and settings.ops == "ansnet"
    return [SynchronizedBatchNorm()] if synchronizes else []


def check_images(settings: Settings, data: ImageDataModule) -> None:
    """Refuse a process without images, which the others would wait for.

    Raises:
        SettingsError: there are fewer training or validation images than processes.
    """
    for name, kind in (("train", "training"), ("val", "validation")):
        images = len(data.images(name).targets)
        if images < number_of_processes(settings):
            raise SettingsError(
                f"--devices {settings.devices}: {number_of_processes(settings)} processes cannot share "
                f"{images} {kind} image(s); name fewer devices"
            )


def describe_processes(settings: Settings, network: nn.Module) -> list[str]:
    """What several processes share, a line each; nothing of one process.

    Args:
        settings: completed by the device's own.
        network: that is trained.
    """
    processes = number_of_processes(settings)
    if processes == 1:
        return []
    batch = settings.batch_size * settings.accumulate_grad_batches
    nodes = f" on {settings.num_nodes} machines" if settings.num_nodes > 1 else ""
    lines = [f"{processes} processes{nodes}: {batch} images each a step, {processes * batch} together"]
    if not any(isinstance(layer, _BatchNorm) for layer in network.modules()):
        lines.append("no batch normalisation to synchronise")
    elif settings.sync_batchnorm:
        lines.append("batch normalisation synchronised: by the images of all processes")
    else:
        lines.append(
            "batch normalisation not synchronised: each process normalises by its own images, so the "
            "weights are not those of one process with all images"
        )
    return lines


def can_synchronize(settings: Settings, device: str) -> bool:
    """Whether there is a synchronised batch normalisation; PyTorch has one for CUDA alone."""
    return settings.ops == "ansnet" or device == "cuda"
