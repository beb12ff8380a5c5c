"""Convolutions of forty shapes that people use, beside PyTorch's own::

    python benchmarks/shapes.py
    python benchmarks/shapes.py --precision bfloat16 --only 'mobilenet*'

Those of the three networks are in `operations.py`. These are of other networks, other batches and
other sizes: that none of them is a cliff. By them an arrangement says what it suits
(`ansnet.functional.arrangements`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional import conv2d
from measure import Call, Contender, geometric_mean, make_parser, measure, prepare
from operations import FORMATS, draw_like
from results import Row, Work, place, show, write
from training_step import PRECISIONS


@dataclass(frozen=True)
class Shape:
    """A convolution: where it stands, its images, its filters, and the hyperparameters.

    Attributes:
        images: N × C × H × W.
        filters: F × C/groups × K × K.
    """

    name: str
    images: tuple[int, int, int, int]
    filters: tuple[int, int, int, int]
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    def __str__(self) -> str:
        more = {"stride": self.stride, "dilation": self.dilation, "groups": self.groups}
        words = [f"{word} {number}" for word, number in more.items() if number != 1]
        return ", ".join(["×".join(map(str, self.images)), "×".join(map(str, self.filters)), *words])


SHAPES = [
    Shape("resnet50 stem", (16, 3, 224, 224), (64, 3, 7, 7), 2, 3),
    Shape("resnet50 1×1 in", (16, 256, 56, 56), (64, 256, 1, 1)),
    Shape("resnet50 1×1 out", (16, 64, 56, 56), (256, 64, 1, 1)),
    Shape("resnet50 56", (16, 64, 56, 56), (64, 64, 3, 3), 1, 1),
    Shape("resnet50 28", (16, 128, 28, 28), (128, 128, 3, 3), 1, 1),
    Shape("resnet50 14", (16, 256, 14, 14), (256, 256, 3, 3), 1, 1),
    Shape("resnet50 7", (16, 512, 7, 7), (512, 512, 3, 3), 1, 1),
    Shape("resnet50 56 to 28", (16, 128, 56, 56), (128, 128, 3, 3), 2, 1),
    Shape("resnet50 28 to 14", (16, 256, 28, 28), (256, 256, 3, 3), 2, 1),
    Shape("resnet50 14 to 7", (16, 512, 14, 14), (512, 512, 3, 3), 2, 1),
    Shape("resnet50 shortcut", (16, 512, 28, 28), (1024, 512, 1, 1), 2),
    Shape("resnet50 7, one image", (1, 512, 7, 7), (512, 512, 3, 3), 1, 1),
    Shape("resnet50 14, one image", (1, 256, 14, 14), (256, 256, 3, 3), 1, 1),
    Shape("resnet50 56, one image", (1, 64, 56, 56), (64, 64, 3, 3), 1, 1),
    Shape("resnet50 stem, one image", (1, 3, 224, 224), (64, 3, 7, 7), 2, 3),
    Shape("resnext50 56", (16, 128, 56, 56), (128, 4, 3, 3), 1, 1, groups=32),
    Shape("resnext50 28 to 14", (16, 512, 28, 28), (512, 16, 3, 3), 2, 1, groups=32),
    Shape("resnext50 14", (16, 512, 14, 14), (512, 16, 3, 3), 1, 1, groups=32),
    Shape("mobilenet stem", (16, 3, 224, 224), (32, 3, 3, 3), 2, 1),
    Shape("mobilenet depthwise 112", (16, 32, 112, 112), (32, 1, 3, 3), 1, 1, groups=32),
    Shape("mobilenet depthwise 56", (16, 144, 56, 56), (144, 1, 3, 3), 1, 1, groups=144),
    Shape("mobilenet depthwise 56 to 28", (16, 144, 56, 56), (144, 1, 3, 3), 2, 1, groups=144),
    Shape("mobilenet depthwise 14", (16, 576, 14, 14), (576, 1, 3, 3), 1, 1, groups=576),
    Shape("mobilenet depthwise 7", (16, 960, 7, 7), (960, 1, 3, 3), 1, 1, groups=960),
    Shape("mobilenet expansion", (16, 96, 14, 14), (576, 96, 1, 1)),
    Shape("efficientnet depthwise 5×5", (16, 240, 28, 28), (240, 1, 5, 5), 1, 2, groups=240),
    Shape("convnext stem", (16, 3, 224, 224), (96, 3, 4, 4), 4),
    Shape("convnext depthwise 7×7", (8, 96, 56, 56), (96, 1, 7, 7), 1, 3, groups=96),
    Shape("convnext between stages", (16, 192, 28, 28), (384, 192, 2, 2), 2),
    Shape("vit patches", (8, 3, 224, 224), (384, 3, 16, 16), 16),
    Shape("deeplab dilated 2", (8, 256, 28, 28), (256, 256, 3, 3), 1, 2, dilation=2),
    Shape("deeplab dilated 12", (4, 256, 28, 28), (256, 256, 3, 3), 1, 12, dilation=12),
    Shape("inception 5×5", (16, 32, 28, 28), (96, 32, 5, 5), 1, 2),
    Shape("unet 128", (2, 64, 128, 128), (64, 64, 3, 3), 1, 1),
    Shape("cifar first, few filters", (128, 3, 32, 32), (16, 3, 3, 3), 1, 1),
    Shape("cifar resnet20 32", (128, 16, 32, 32), (16, 16, 3, 3), 1, 1),
    Shape("cifar resnet20 16 to 8", (128, 32, 16, 16), (64, 32, 3, 3), 2, 1),
    Shape("cifar wide 8", (128, 256, 8, 8), (256, 256, 3, 3), 1, 1),
    Shape("mnist lenet 5×5", (128, 1, 28, 28), (6, 1, 5, 5), 1, 2),
    Shape("one small image", (1, 4, 8, 8), (4, 4, 3, 3), 1, 1),
]
PASSES = ("inference", "forward+backward")


def make_pair(shape: Shape, inputs: list[Tensor], passes: str) -> list[Call]:
    """Ours and PyTorch's."""
    options: dict[str, Any] = {
        "stride": shape.stride,
        "padding": shape.padding,
        "dilation": shape.dilation,
        "groups": shape.groups,
    }
    functions = [partial(function, **options) for function in (conv2d, F.conv2d)]
    if passes == "inference":
        return [torch.no_grad()(partial(function, *inputs)) for function in functions]
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    grad_z = torch.randn_like(functions[1](*inputs))

    def differentiate(function: Callable[..., Tensor]) -> object:
        return torch.autograd.grad(function(*inputs), wanted, grad_z)

    return [partial(differentiate, function) for function in functions]


def draw(shape: Shape, precision: str, memory_format: str) -> list[Tensor]:
    """Images and filters. Images of 1 or 3 channels are a network's first, and need no gradient."""
    needs_gradient = shape.images[1] > 3
    like = [
        torch.empty(shape.images, device="meta", requires_grad=needs_gradient),
        torch.empty(shape.filters, device="meta", requires_grad=True),
    ]
    tensors = [draw_like(one, torch.device("cpu"), memory_format).detach() for one in like]
    dtype = PRECISIONS[precision]
    return [t.to(dtype).requires_grad_(one.requires_grad) for t, one in zip(tensors, like, strict=True)]


def means_of_passes(rows: list[Row]) -> list[str]:
    """A line a pass and memory format: the geometric mean of the ratios, the worst, and where."""
    lines = []
    for passes in PASSES:
        for memory_format in FORMATS:
            ratios = {
                row.shape: row.time_ratio
                for row in rows
                if (row.passes, row.memory_format) == (passes, memory_format)
                and row.time_ratio is not None
            }
            if ratios:
                worst = max(ratios, key=lambda shape: ratios[shape])
                lines.append(
                    f"{passes}, {memory_format}: geometric mean of {len(ratios)} "
                    f"{geometric_mean(list(ratios.values())):.2f}, worst {ratios[worst]:.2f} ({worst})"
                )
    return lines


def main() -> None:
    parser = make_parser(__doc__, rounds=7)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="default float32")
    parser.add_argument("--only", default="*", help="shapes, as a pattern such as 'mobilenet*'")
    options = parser.parse_args()
    device = prepare(options)
    shapes = [shape for shape in SHAPES if fnmatch(shape.name, options.only)]
    if not shapes:
        parser.error(f"--only {options.only}: the shapes are {', '.join(s.name for s in SHAPES)}")
    rows: list[Row] = []
    for shape in shapes:
        for memory_format in FORMATS:
            inputs = draw(shape, options.precision, memory_format)
            for passes in PASSES:
                providers = zip(("ansnet", "torch"), make_pair(shape, inputs, passes), strict=True)
                contenders = [Contender(name, memory_format, call) for name, call in providers]
                work = Work("shapes", shape.name, str(shape), passes, options.precision)
                rows += work.rows(measure(contenders, options.rounds, device), device)
                show(rows[-2:])
    print(*means_of_passes(rows), sep="\n")
    write(rows, place(options.results, "shapes", device, options.precision))


if __name__ == "__main__":
    main()
