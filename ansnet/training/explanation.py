"""A picture, what the network sees of it, which places speak for its class, and how sure it is."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ansnet.files import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

SIDE = 480  # pixels, of the square that the heat is drawn over
OUTSIDE = 0.35  # of the brightness of what the network is not shown
COLOURS = "inferno"
SIZE, GAP = 3.0, 0.15  # inches, of a panel and between two
ROWS = 5  # of bars, or room for so many
LONGEST = 20  # characters, of a name
NARROWEST, WIDEST = 0.6, 1.8  # panels for the picture as it was given, beside squares
BLUE, GREY = "#3465a4", "#b8bec6"


def draw_explanation(
    path: Path,
    picture: Image,
    seen: NDArray[np.uint8],
    heat: Tensor,
    ranked: Sequence[tuple[str, float]],
) -> None:
    """Draw four panels side by side, and write them as a PNG.

    Args:
        path: where to.
        picture: as it was given, in RGB; its middle square is what the network was shown.
        seen: that square as the network's input, H × W × 3 bytes.
        heat: which places speak for the likeliest class, see `ansnet.models.grad_cam`; H′ × W′.
        ranked: classes and probabilities, the likeliest first; those to be drawn.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    square = middle(picture)
    side = min(SIDE, max(square.width, 4 * len(seen)))
    enlarged = np.asarray(square.resize((side, side)))
    names = [shorten(name) for name, _ in ranked]
    shape = min(max(picture.width / picture.height, NARROWEST), WIDEST)
    labels = 0.1 * max(map(len, names)) + 0.2
    widths = [shape * SIZE, SIZE, SIZE, SIZE + 0.4]
    lefts = [
        GAP,
        *(GAP + sum(widths[:i]) + i * GAP for i in (1, 2)),
        sum(widths[:3]) + 4 * GAP + labels,
    ]
    width, height = lefts[3] + widths[3] + GAP, SIZE + 0.5
    figure = Figure(figsize=(width, height), facecolor="white")
    panels = [
        figure.add_axes((left / width, 0.1 / height, each / width, SIZE / height))
        for left, each in zip(lefts, widths, strict=True)
    ]
    show(panels[0], dimmed_outside(picture), "the picture")
    show(panels[1], seen, f"what the network sees: {seen.shape[1]} × {seen.shape[0]}", "nearest")
    show(
        panels[2],
        with_heat(enlarged, heat),
        f"{'what' if heat.any() else 'no place'} speaks for {names[0]}",
    )
    draw_bars(panels[3], names, [100 * probability for _, probability in ranked])
    with warnings.catch_warnings(), whole(path) as unfinished:
        # a class may have a name in letters that the font has not
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(unfinished, dpi=110, format="png")


def shorten(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def middle(picture: Image) -> Image:
    """The square in the middle."""
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def dimmed_outside(picture: Image) -> NDArray[np.uint8]:
    """The picture, its middle square as it is and the rest darker; H × W × 3 bytes."""
    width, height = picture.size
    dark = picture.point(lambda value: round(OUTSIDE * value))
    square = middle(picture)
    dark.paste(square, ((width - square.width) // 2, (height - square.height) // 2))
    return np.asarray(dark)


def with_heat(pixels: NDArray[np.uint8], heat: Tensor) -> NDArray[np.float64]:
    """Heat over a picture: the hotter a place, the more of it is painted over.

    Args:
        pixels: H × W × 3 bytes.
        heat: H′ × W′, 0 or above; enlarged bicubically to H × W. Its highest value is the hottest
            colour, whatever it is.

    Returns:
        H × W × 3, from 0 to 1.
    """
    from matplotlib import colormaps

    H, W, _ = pixels.shape
    scaled = heat / heat.max().clamp_min(1e-12)
    large = F.interpolate(scaled[None, None], (H, W), mode="bicubic")[0, 0].clamp(0, 1).numpy()
    colours = colormaps[COLOURS](0.25 + 0.7 * large)[..., :3]
    grey = pixels.mean(2, keepdims=True) / 255
    cover = 0.65 * large[..., None]
    painted: NDArray[np.float64] = (1 - cover) * (0.45 * pixels / 255 + 0.3 * grey) + cover * colours
    return painted


def show(axes: Axes, image: NDArray[Any], title: str, interpolation: str = "antialiased") -> None:
    axes.imshow(image, interpolation=interpolation)
    axes.set_title(title, fontsize=11, parse_math=False)
    axes.set_axis_off()


def draw_bars(axes: Axes, names: Sequence[str], shares: Sequence[float]) -> None:
    """Probabilities in per cent, the likeliest class on top."""
    rows = range(len(names))
    axes.barh(rows, shares, color=[BLUE] + [GREY] * (len(names) - 1), height=0.62)
    axes.set_yticks(rows, names, fontsize=11, parse_math=False)
    axes.set_ylim(max(len(names), ROWS) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xticks([])
    axes.tick_params(left=False)
    axes.spines[:].set_visible(False)
    for row, share in zip(rows, shares, strict=True):
        inside = share > 70
        axes.text(
            share + (-2 if inside else 2),
            row,
            f"{share:.1f} %",
            va="center",
            ha="right" if inside else "left",
            color="white" if inside else "black",
            fontsize=11,
        )
    axes.set_title("what it is taken for", fontsize=11)
