"""What happens to the bytes of the images before the network sees them, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
BORDER = 4  # pixels


class Normalisation:
    """Bytes as numbers in 0..1, less a mean, divided by a deviation; the same for both subsets.

    `MEAN` and `STD` are those of the red, green and blue of ImageNet's pixels (notebook, "Načtení dat a
    příprava dat").

    Args:
        height, width: of the images.
        device: that they are on.
        mean, std: of red, green and blue, in 0..1.

    Shapes: N × H × W × 3 bytes to N × H × W × 3.
    """

    def __init__(
        self,
        height: int,
        width: int,
        device: torch.device,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
    ) -> None:
        # (x/255 − mean)/std = scale · x + shift. Repeated for each pixel, so that one image is one
        # long row to multiply and add, not H · W rows of three.
        self.scale = (1 / (255 * torch.tensor(std))).repeat(height * width).to(device)
        self.shift = (-torch.tensor(mean) / torch.tensor(std)).repeat(height * width).to(device)

    def __call__(self, images: Tensor) -> Tensor:
        return images.flatten(1).mul(self.scale).add_(self.shift).view(images.shape)


@dataclass(frozen=True)
class Augmentation:
    """Which random changes are made to training images; without arguments, the notebook's.

    Args:
        flip: ``"random"`` flips each image in half of its epochs, by chance; ``"alternating"`` in every
            second one, the first of them by chance, so that any two epochs in a row show both (Jordan,
            *94% on CIFAR-10 in 3.29 seconds on a single GPU*, 2024, section 3.6); ``"none"`` flips
            none, for images whose mirror image is of another class, as digits.
        border: what a crop reaches into beyond the image: ``"black"``, or its mirror image,
            ``"reflect"`` (Page, *How to train your ResNet*, 2018).
        cutout: side of a square at a random place in the crop that is painted in the mean colour
            (DeVries and Taylor, *Improved regularization of convolutional neural networks with cutout*,
            2017; within the image, as by Page), in pixels; 0 paints none.
    """

    flip: str = "random"
    border: str = "black"
    cutout: int = 0


class Draws(NamedTuple):
    """What is drawn for N images, N each.

    ``flip``: whether left and right are exchanged. ``top``, ``left``: where in the bordered image the
    crop begins, 0 to 2 · `BORDER`. ``hole_top``, ``hole_left``: where in the crop the painted square
    begins.
    """

    flip: Tensor
    top: Tensor
    left: Tensor
    hole_top: Tensor
    hole_left: Tensor


def draw(shape: tuple[int, ...], augmentation: Augmentation, generator: torch.Generator) -> Draws:
    """Draw for images of a shape N × H × W × 3, on the generator's device.

    Half of the images are flipped, every crop and every place of the square are equally likely, and the
    draws of an image have nothing to do with each other or with another image's.
    """
    N, H, W, _ = shape

    def integers(values: int) -> Tensor:
        return torch.randint(max(values, 1), (N,), generator=generator, device=generator.device)

    return Draws(
        flip=integers(2) == 1,
        top=integers(2 * BORDER + 1),
        left=integers(2 * BORDER + 1),
        hole_top=integers(H - augmentation.cutout + 1),
        hole_left=integers(W - augmentation.cutout + 1),
    )


def augment(
    images: Tensor, augmentation: Augmentation, drawn: Draws, mean: Sequence[float] = MEAN
) -> Tensor:
    """Flip images, crop each out of itself with a border of `BORDER` pixels, paint squares over.

    (Notebook, "Datová augmentace", and the sources that `Augmentation` names.)

    Args:
        images: N × H × W × 3 bytes.
        augmentation: of the border and the square; which to flip is drawn.
        drawn: see `Draws`.
        mean: the colour of the square, in 0..1.

    Returns:
        The crops, as large as the images.
    """
    N, H, W, _ = images.shape
    if augmentation.flip != "none":
        images = torch.where(drawn.flip[:, None, None, None], images.flip(2), images)
    n = torch.arange(N, device=images.device)
    crops = windows(with_border(images, augmentation.border), H, W)[n, drawn.top, drawn.left]
    if augmentation.cutout > 0:
        # which the normalisation makes 0
        colour = torch.tensor(mean, device=images.device).mul(255).round().to(images.dtype)
        rows = covered(drawn.hole_top, augmentation.cutout, H)[:, :, None, None]
        columns = covered(drawn.hole_left, augmentation.cutout, W)[:, None, :, None]
        crops = torch.where(rows & columns, colour, crops)
    return crops


def covered(start: Tensor, length: int, size: int) -> Tensor:
    """Which of ``size`` places the ``length`` from ``start`` on are: N × size, of N starts."""
    place = torch.arange(size, device=start.device)
    return (start[:, None] <= place) & (place < start[:, None] + length)


def with_border(images: Tensor, border: str) -> Tensor:
    """Images with `BORDER` pixels around them: N × (H + 2 · BORDER) × (W + 2 · BORDER) × 3."""
    if border == "black":
        return F.pad(images, (0, 0, BORDER, BORDER, BORDER, BORDER))
    rows, columns = (reflected(size, images.device) for size in images.shape[1:3])
    return images.index_select(1, rows).index_select(2, columns)


def reflected(size: int, device: torch.device) -> Tensor:
    """Which row a row of the bordered image repeats: … 2 1 0 1 2 … size−2 size−1 size−2 …."""
    place = torch.arange(-BORDER, size + BORDER, device=device)
    period = max(2 * (size - 1), 1)
    return size - 1 - (size - 1 - place % period).abs()


def windows(images: Tensor, height: int, width: int) -> Tensor:
    """All windows of N × H × W × 3 images, a view: N × rows × columns × height × width × 3."""
    return images.unfold(1, height, 1).unfold(2, width, 1).movedim(3, -1)
