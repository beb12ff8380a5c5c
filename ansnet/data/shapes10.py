"""shapes10: ten kinds of shapes on 32×32 colour images, drawn from a seed in memory.

No download. Position, size, tilt, colours, the background's shading and the noise are drawn at
random for each image, so that a class is known by its outline alone; a linear classifier, which
compares pixels, cannot see it.

Each shape is a signed distance d(x, y) from its outline, negative inside, in units of the shape's
radius and in its own rotated axes. A pixel is covered by ``sigmoid(−d · pixels per unit)``, which
draws a smooth edge. For the distances: Quilez, *2D distance functions*.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ansnet.data.batches import Images
from ansnet.data.datamodule import ImageDataModule

SIZE = 32
CHUNK = 1024  # images drawn at once


def disc(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - 0.8


def ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.75).abs() - 0.2


def square(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) - 0.75


def frame(x: Tensor, y: Tensor) -> Tensor:
    return (torch.maximum(x.abs(), y.abs()) - 0.7).abs() - 0.18


def triangle(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(0.866 * x.abs() + 0.5 * y, -y) - 0.5


def cross(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(bar(x, y), bar(y, x))


def bar(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x.abs() - 1.0, y.abs() - 0.25)


def star(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - (0.65 + 0.35 * torch.cos(5 * torch.atan2(y, x)))


def crescent(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(torch.hypot(x, y) - 0.9, 0.75 - torch.hypot(x - 0.5, y))


def pair(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x.abs() - 0.6, y) - 0.38


SHAPES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    disc, ring, square, frame, triangle, cross, bar, star, crescent, pair
)  # fmt: skip


def draw(targets: Tensor, seed: int) -> Tensor:
    """Draw one image for each target.

    Args:
        targets: indices into `SHAPES`, N.
        seed: of everything that is random.

    Returns:
        N × 32 × 32 × 3 bytes.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([draw_chunk(chunk, generator) for chunk in targets.split(CHUNK)])


def draw_chunk(targets: Tensor, generator: torch.Generator) -> Tensor:
    N = len(targets)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(N, *shape, generator=generator)

    radius = uniform(8.0, 13.0, 1, 1)
    centre_x, centre_y = (SIZE / 2 + uniform(-1, 1, 1, 1) * (SIZE / 2 - radius) for _ in "xy")
    angle = uniform(-0.4, 0.4, 1, 1)
    background, shading = uniform(0.0, 0.5, 1, 1, 3), uniform(-0.2, 0.2, 2, 1, 1, 3)
    colour = uniform(0.5, 1.0, 1, 1, 3)
    noise = 0.04 * torch.randn(N, SIZE, SIZE, 3, generator=generator)

    pixel = torch.arange(SIZE) + 0.5
    x, y = (pixel[None, None, :] - centre_x) / radius, (pixel[None, :, None] - centre_y) / radius
    x, y = angle.cos() * x + angle.sin() * y, angle.cos() * y - angle.sin() * x
    distance = torch.empty(N, SIZE, SIZE)
    for index, shape in enumerate(SHAPES):
        members = targets == index
        distance[members] = shape(x[members], y[members])
    cover = torch.sigmoid(-2 * radius * distance)[..., None]

    ramp = pixel / SIZE - 0.5
    shade = shading[:, 0] * ramp[:, None, None] + shading[:, 1] * ramp[None, :, None]
    image = cover * colour + (1 - cover) * (background + shade) + noise
    return (255 * image.clamp(0, 1)).round().to(torch.uint8)


class Shapes10DataModule(ImageDataModule):
    """shapes10: 6,000 images to train, 1,000 to validate, the same ones in every run.

    Args:
        batch_size, augmentation, channels_last, seed: as `ImageDataModule`.
    """

    classes = tuple(shape.__name__ for shape in SHAPES)
    train_size = 6000
    val_size = 1000

    def subset(self, train: bool) -> Images:
        size, drawing_seed = (self.train_size, 1) if train else (self.val_size, 2)
        targets = torch.arange(size) % len(SHAPES)  # the classes take turns
        return Images(draw(targets, drawing_seed), targets)
