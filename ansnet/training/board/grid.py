"""Images side by side, each with its caption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ansnet.training.board.lettering import BLACK, WHITE, Colour, Pixels, font, shortened

SIDE = 96  # pixels that an image is about as high and wide
GAP = 6
TITLE, CAPTION = 15, 12  # size of the letters

Line = tuple[str, Colour]


def as_seen(images: Tensor, normalisation: Mapping[str, Sequence[float]] | None) -> Pixels:
    """Images as bytes, as a network sees them, with the normalisation undone.

    Args:
        images: N × C × H × W.
        normalisation: ``mean`` and ``std`` by channel, in 0..1; None, or that of another number of
            channels, spreads what the images hold over black to white.

    Returns:
        N × H × W × 3; grey where there is one channel, the first three where there are more.
    """
    images = images.detach().float().cpu()
    channels = images.shape[1]
    if normalisation is not None and len(normalisation["mean"]) == channels:
        mean, std = (
            torch.tensor(tuple(normalisation[name])).view(1, -1, 1, 1) for name in ("mean", "std")
        )
        images = images * std + mean
    else:
        lowest, highest = images.aminmax()
        images = (images - lowest) / (highest - lowest).clamp(min=1e-12)
    images = images[:, :3] if channels >= 3 else images[:, :1].expand(-1, 3, -1, -1)
    pixels: Pixels = images.clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    return pixels


def grid(
    images: Pixels,
    captions: Sequence[Sequence[Line]],
    title: str,
    columns: int = 8,
    side: int = SIDE,
) -> Pixels:
    """Images in rows, each with lines below.

    Args:
        images: N × H × W × 3.
        captions: of each image its lines, each with its colour; all have as many.
        title: above all.
        columns: images a row.
        side: pixels that an image is about as high and wide; a small one is enlarged by a whole number,
            so that its pixels remain squares.

    Returns:
        One picture, H × W × 3.
    """
    from PIL import Image, ImageDraw

    longest = max(images.shape[1:3])
    scale = max(1, round(side / longest)) if longest <= side else side / longest
    height, width = (max(1, round(scale * size)) for size in images.shape[1:3])
    lines = len(captions[0]) if captions else 0
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    cell_height, cell_width = height + lines * (CAPTION + 4) + GAP, width + GAP
    top = TITLE + 2 * GAP
    title_width = round(font(TITLE).getlength(title)) + 2 * GAP
    size = (max(columns * cell_width + GAP, title_width), top + rows * cell_height + GAP)
    picture = Image.new("RGB", size, WHITE)
    draw = ImageDraw.Draw(picture)
    draw.text((GAP, GAP // 2), title, BLACK, font(TITLE))
    way = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    for i, pixels in enumerate(images):
        left, upper = GAP + i % columns * cell_width, top + i // columns * cell_height
        picture.paste(Image.fromarray(pixels).resize((width, height), way), (left, upper))
        for number, (text, colour) in enumerate(captions[i] if lines else ()):
            place = (left, upper + height + 1 + number * (CAPTION + 4))
            draw.text(place, shortened(text, CAPTION, width), colour, font(CAPTION))
    return np.asarray(picture)
