"""What happens to an image between the data set and the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ansnet.compatibility import torchvision

transforms = torchvision.transforms

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

Transform = Callable[[Any], Tensor]
Compose: Callable[[list[Any]], Transform] = transforms.Compose


def evaluation_transform() -> Transform:
    """A PIL image as a 3 × H × W tensor in 0..1, less `MEAN`, divided by `STD`.

    The two are the mean and the deviation of the red, green and blue of ImageNet's pixels
    (notebook, "Načtení dat a příprava dat"), the same for every data set and for both subsets.
    """
    return Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])


def training_transform(augment: bool) -> Transform:
    """`evaluation_transform`, behind a random flip and a random crop if ``augment``.

    The crop is 32×32 out of the image with four pixels of black around it; flip and crop are drawn
    anew for each image each time it is seen (notebook, "Datová augmentace").
    """
    if not augment:
        return evaluation_transform()
    return Compose(
        [
            transforms.RandomHorizontalFlip(),
            transforms.RandomCrop(32, padding=4),
            evaluation_transform(),
        ]
    )
