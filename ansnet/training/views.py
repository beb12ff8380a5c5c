"""Test-time augmentation: what a network is shown of an image, to classify it by the sum of scores.

An image and its mirror image count the same (Simonyan and Zisserman, *Very deep convolutional
networks*, 2015). The image moved by a pixel up and left, and moved down and right, count half each
(Jordan, *94% on CIFAR-10 in 3.29 seconds on a single GPU*, 2024, section 3.5).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SHIFT = 1  # pixels
CHOICES = ("plain", "flip", "shift", "flip_shift")
# which of them show the mirror image, the first shifted image, its mirror image, the second, and its
SHOWN_BY = (
    ("flip", "flip_shift"),
    ("shift", "flip_shift"),
    ("flip_shift",),
    ("shift", "flip_shift"),
    ("flip_shift",),
)


def other_views(images: Tensor, flip: bool, shift: bool) -> Iterator[tuple[Tensor, float]]:
    """What is shown besides the images themselves, and by what its scores are to be multiplied.

    Args:
        images: N × C × H × W.
        flip: their mirror images; with ``shift``, those of the shifted images too.
        shift: the images moved by `SHIFT` pixels; what comes in at the border is its mirror image.

    Yields:
        Images of the same shape, in the same memory layout, and the weight of their scores, where that
        of the images' own is 1.
    """
    if flip:
        yield images.flip(3), 1.0
    if shift:
        H, W = images.shape[2:]
        bordered = F.pad(images, (SHIFT, SHIFT, SHIFT, SHIFT), mode="reflect")
        for start in (0, 2 * SHIFT):
            # a copy: a network compiled for one layout would be compiled anew for a window's
            window = bordered[:, :, start : start + H, start : start + W]
            shifted = torch.empty_like(images).copy_(window)
            yield shifted, 0.5
            if flip:
                yield shifted.flip(3), 0.5


def scores_by_views(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """A network's scores of images, by what it is shown of them.

    Args:
        network: N × C × H × W to N × classes.
        images: N × C × H × W.

    Returns:
        ``plain``, of the images alone; ``flip``, added to those of their mirror images; ``shift``, to
        those of the shifted images; ``flip_shift``, to all of these. Each N × classes, in float32.
    """
    own = network(images).float()
    totals = {choice: own.clone() for choice in CHOICES}
    for (view, weight), choices in zip(other_views(images, True, True), SHOWN_BY, strict=True):
        scores = weight * network(view)
        for choice in choices:
            totals[choice] += scores
    return totals
