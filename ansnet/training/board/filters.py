"""What the first layer looks for: its filters as images."""

from __future__ import annotations

from math import ceil, sqrt

from torch import Tensor, nn

from ansnet.training.board.grid import grid
from ansnet.training.board.lettering import Pixels

MOST = 256  # filters that are shown


def first_filters(network: nn.Module, image_shape: tuple[int, ...]) -> Tensor | None:
    """The filters of the first layer that has weights: F × C × h × w.

    Of a linear layer on the whole image they are as large as the image.

    Args:
        network: any.
        image_shape: C × H × W.

    Returns:
        None where its first layer with weights is neither of these.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            return layer.weight.detach()
        if isinstance(layer, nn.Linear):
            fits = layer.in_features == image_shape[0] * image_shape[1] * image_shape[2]
            return layer.weight.detach().reshape(-1, *image_shape) if fits else None
    return None


def filters_picture(filters: Tensor, title: str) -> Pixels:
    """Draw filters on one scale: grey is 0, and the largest weight of all is black or white.

    Args:
        filters: F × C × h × w; of other than three channels, the mean over them is shown.
        title: above all; the scale is added to it.

    Returns:
        The picture, H × W × 3.
    """
    filters = filters[:MOST].float().cpu()
    if filters.shape[1] != 3:
        filters = filters.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    largest = float(filters.abs().max())
    images = (filters / (2 * largest or 1) + 0.5).nan_to_num(0.5).clamp(0, 1).mul(255).round().byte()
    pixels: Pixels = images.permute(0, 2, 3, 1).numpy()
    columns = ceil(sqrt(2 * len(filters)))
    scale = f"black −{largest:.2g}, grey 0, white {largest:.2g}"
    return grid(pixels, [], f"{title} ({scale})", columns, 96 if len(filters) <= 16 else 48)
