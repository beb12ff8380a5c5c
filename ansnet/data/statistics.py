"""The mean and the deviation of the pixels of a data set."""

from __future__ import annotations

import torch
from torch import Tensor

LOWEST_DEVIATION = 1 / 255  # of a channel that is the same everywhere, which cannot be divided by 0


def mean_and_deviation(pixels: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel over all pixels of all images, in 0..1.

    ``mean = Σ_v v · share(v)`` and ``std² = Σ_v (v − mean)² · share(v)`` over the 256 values of a byte,
    in float64, so that the order of the images does not matter to any digit.

    Args:
        pixels: N × H × W × C bytes.

    Returns:
        C means and C deviations; a deviation is at least `LOWEST_DEVIATION`.

    Example:
        >>> mean_and_deviation(torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1))
        ((0.5,), (0.5,))
    """
    values = torch.arange(256, dtype=torch.float64, device=pixels.device) / 255
    means, deviations = [], []
    for channel in pixels.unbind(-1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = (values * share).sum()
        means.append(float(mean))
        deviations.append(max(float(((values - mean).square() * share).sum().sqrt()), LOWEST_DEVIATION))
    return tuple(means), tuple(deviations)
