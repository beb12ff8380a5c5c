"""What happens to the bytes of the images before the network sees them, a batch at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
BORDER = 4  # pixels


class Normalisation:
    """Bytes as numbers in 0..1, less `MEAN`, divided by `STD`.

    The two are the mean and the deviation of the red, green and blue of ImageNet's pixels (notebook,
    "Načtení dat a příprava dat"), the same for every data set and for both subsets.

    Args:
        height, width: of the images.
        device: that they are on.

    Shapes: N × H × W × 3 bytes to N × H × W × 3.
    """

    def __init__(self, height: int, width: int, device: torch.device) -> None:
        mean, std = torch.tensor(MEAN), torch.tensor(STD)
        # (x/255 − mean)/std = scale · x + shift. Repeated for each pixel, so that one image is one
        # long row to multiply and add, not H · W rows of three.
        self.scale = (1 / (255 * std)).repeat(height * width).to(device)
        self.shift = (-mean / std).repeat(height * width).to(device)

    def __call__(self, images: Tensor) -> Tensor:
        return images.flatten(1).mul(self.scale).add_(self.shift).view(images.shape)


def draw_augmentation(N: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the arguments of `augment` for N images, on the generator's device.

    Half of the images are flipped, every crop is equally likely, and the three draws of an image have
    nothing to do with each other or with another image's.
    """

    def draw(values: int) -> Tensor:
        return torch.randint(values, (N,), generator=generator, device=generator.device)

    return draw(2) == 1, draw(2 * BORDER + 1), draw(2 * BORDER + 1)


def augment(images: Tensor, flip: Tensor, top: Tensor, left: Tensor) -> Tensor:
    """Flip images, then crop each out of itself with `BORDER` pixels of black around it.

    (Notebook, "Datová augmentace".)

    Args:
        images: N × H × W × 3.
        flip: whether left and right are exchanged, N.
        top, left: where in the bordered image the crop begins, 0 to 2 · `BORDER`, N each.

    Returns:
        The crops, as large as the images.
    """
    N, H, W, _ = images.shape
    images = torch.where(flip[:, None, None, None], images.flip(2), images)
    bordered = F.pad(images, (0, 0, BORDER, BORDER, BORDER, BORDER))
    crops = bordered.unfold(1, H, 1).unfold(2, W, 1).movedim(3, -1)  # N × 9 × 9 × H × W × 3, a view
    return crops[torch.arange(N, device=images.device), top, left]
