"""A batch of one image, in which batch normalisation may have nothing to normalise by.

Where a channel of the batch is one value, as behind a linear layer, its variance is 0 (`ansnet.
functional.normalization`). Training refuses that, and here it is refused before any training.
"""

from __future__ import annotations

import torch

from ansnet.models import create_model
from ansnet.training.devices import number_of_processes
from ansnet.training.settings import Settings, SettingsError


def check_batch_of_one(settings: Settings, num_classes: int, images: int) -> None:
    """Refuse to train by batches of one image a network that needs two.

    Args:
        settings: of the training.
        num_classes: outputs of the network.
        images: that a device has to train by; a single one that is left joins the batch before
            (`ansnet.data.batches.Batches`).

    Raises:
        SettingsError: saying why.
    """
    synchronizes = number_of_processes(settings) > 1 and settings.sync_batchnorm
    if min(settings.batch_size, images) > 1 or synchronizes:  # by the images of all processes
        return
    with torch.device("meta"):  # on which nothing is computed
        network = create_model(settings.model, num_classes).train()
    try:
        network(torch.zeros(1, *network.in_shape, device="meta"))
    except ValueError as error:
        few, advice = "--batch-size 1", "take --batch-size 2 or more"
        if settings.batch_size > 1:
            few, advice = "a device has one image to train by", "add images"
        raise SettingsError(
            f"{few}: a batch normalisation of --model {settings.model} has one value a channel in a "
            f"batch of one image, and nothing to normalise it by; {advice}"
        ) from error
