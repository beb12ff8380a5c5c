"""Errors of rounding against float64, beside those of PyTorch's own operations, as Markdown::

    python benchmarks/accuracy.py > docs/accuracy.md

Three operations compute a formula in another order than it is written in, or than PyTorch does:
batch normalisation its variance, convolution by Winograd's tiles, cross-entropy its logarithms. Each is
given the same float32 numbers as PyTorch's, and both are compared with the formula in float64.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional import batch_norm1d, batch_norm2d, conv2d, cross_entropy, plain_sums
from operations import FORMATS
from results import conditions
from summary import markdown

EPSILON = 2.0**-24  # a rounding of float32
CHANNELS = 16
OUTLIERS: dict[str, tuple[int | slice, float]] = {
    "none": (slice(0), 0.0),
    "first row −9999": (0, -9999.0),
    "middle row 10⁴": (2**11, 1e4),
    "last row 10⁵": (-1, 1e5),
    "first image 10⁴": (slice(64), 1e4),
    "every 100th row −3000": (slice(None, None, 100), -3e3),
}

Line = list[str]


def norm_error(actual: Tensor, exact: Tensor) -> float:
    """Of all elements: ‖actual − exact‖ / ‖exact‖."""
    return float((actual - exact).norm() / exact.norm())


def largest_error(actual: Tensor, exact: Tensor) -> float:
    """Of the worst element, relative to that element."""
    return float(((actual - exact).abs() / exact.abs()).nan_to_num(0.0).max())


def cells(ours: float, theirs: float) -> Line:
    """Both errors, and ansnet's as a multiple of PyTorch's or, if that is more, of a rounding."""
    return [f"{ours:.1e}", f"{theirs:.1e}", f"{ours / max(theirs, EPSILON):.1f}"]


def variance_lines() -> Iterator[Line]:
    """The batch's variance, as the running variance shows it: the worst channel of 16."""
    for offset in (0.0, 1.0, 100.0, 1e4):
        for name, (place, far) in OUTLIERS.items():
            for memory_format in ("matrix", *FORMATS):
                rows = torch.randn(2**14, CHANNELS) + offset
                rows[place] += far
                x, function = rows, batch_norm1d
                if memory_format != "matrix":
                    images = rows.view(-1, 8, 8, CHANNELS).permute(0, 3, 1, 2)
                    x, function = images.contiguous(memory_format=FORMATS[memory_format]), batch_norm2d
                ours, theirs = torch.ones(CHANNELS), torch.ones(CHANNELS)
                mean = torch.zeros(CHANNELS)
                function(x, None, None, mean.clone(), ours, training=True, momentum=1.0)
                F.batch_norm(x, mean, theirs, training=True, momentum=1.0)
                exact = rows.double().var(0)
                errors = (largest_error(variance, exact) for variance in (ours, theirs))
                yield [f"{offset:g}", name, memory_format, *cells(*errors)]


def pictures(kind: str, *shape: int) -> Tensor:
    """Images of a scale, a mean, and a dynamic range."""
    x = torch.randn(shape)
    if kind == "activations":
        return x.relu()
    if kind == "mean 10":
        return x + 10
    if kind == "scale 10⁻⁶":
        return x * 1e-6
    if kind == "spikes of 10⁴":
        return torch.where(torch.rand(shape) < 1e-3, 1e4 * x, x)
    if kind == "eight decades":
        return x * 10 ** (8 * torch.rand(shape) - 4)
    return x


def winograd_lines() -> Iterator[Line]:
    """Convolutions that Winograd's sums are chosen for, and the same by the plain ones."""
    kinds = ("normal", "activations", "mean 10", "scale 10⁻⁶", "spikes of 10⁴", "eight decades")
    for channels, filters, size, batch in ((64, 128, 32, 8), (256, 256, 16, 8), (512, 512, 4, 32)):
        for kind in kinds:
            for memory_format, stored in FORMATS.items():
                x = pictures(kind, batch, channels, size, size).contiguous(memory_format=stored)
                w = torch.randn(filters, channels, 3, 3).contiguous(memory_format=stored)
                grad_z = torch.randn(batch, filters, size, size).contiguous(memory_format=stored)
                exact = differentiated(F.conv2d, x.double(), w.double(), grad_z.double())
                ours, theirs = (differentiated(f, x, w, grad_z) for f in (conv2d, F.conv2d))
                with plain_sums():
                    plain = differentiated(conv2d, x, w, grad_z)
                setting = f"{channels}→{filters}, {size}×{size}"
                for name, *results in zip(("z", "x̄", "w̄"), ours, theirs, plain, exact, strict=True):
                    *results, truth = results
                    if torch.equal(results[0], results[2]):
                        continue  # the plain sums were chosen
                    errors = [norm_error(result, truth) for result in results]
                    elements = [largest_error(result, truth) for result in results]
                    yield [
                        setting, kind, memory_format, name, *cells(*errors[:2]), f"{errors[2]:.1e}",
                        f"{elements[0] / elements[1]:.0f}",
                    ]  # fmt: skip


def differentiated(
    function: Callable[..., Tensor], x: Tensor, w: Tensor, grad_z: Tensor
) -> tuple[Tensor, ...]:
    """z, x̄ and w̄."""
    inputs = x.detach().requires_grad_(), w.detach().requires_grad_()
    z = function(*inputs, padding=1)
    return z.detach(), *torch.autograd.grad(z, inputs, grad_z)


def loss_lines() -> Iterator[Line]:
    """Cross-entropy and its gradient, of logits of a scale and an offset."""
    for rows, classes in ((128, 10), (4096, 1000)):
        for scale in (1e-3, 1.0, 30.0, 1e3):
            for offset in (0.0, 100.0, -1e4, 1e6):
                x = scale * torch.randn(rows, classes) + offset
                target = torch.randint(classes, (rows,))
                results = []
                for function, logits in (
                    (cross_entropy, x), (F.cross_entropy, x), (F.cross_entropy, x.double())
                ):  # fmt: skip
                    leaf = logits.detach().requires_grad_()
                    loss = function(leaf, target, label_smoothing=0.1)
                    results.append((loss.detach(), *torch.autograd.grad(loss, leaf)))
                *both, exact = results
                setting = [f"{rows} × {classes}", f"{scale:g}", f"{offset:g}"]
                for name, error, index in (("z", largest_error, 0), ("x̄", norm_error, 1)):
                    yield [*setting, name, *cells(*(error(one[index], exact[index]) for one in both))]


RATIO = ["ansnet", "PyTorch", "ratio"]
SECTIONS: list[tuple[str, str, list[str], Callable[[], Iterator[Line]]]] = [
    (
        "The variance of batch normalisation",
        "16,384 rows of 16 channels, or 256 images of 8×8, normally distributed around the offset; the "
        "error is the worst channel's, relative to the variance.",
        ["offset", "outliers", "memory", *RATIO],
        variance_lines,
    ),
    (
        "Winograd's convolution",
        "‖error‖ / ‖exact‖ of each result that is not computed by the plain sums; *plain*: the error "
        "of `plain_sums()`; *element*: the error of the worst element, relative to that element, as a "
        "multiple of PyTorch's. Its bound is in "
        "[`winograd.py`](../ansnet/functional/arrangements/winograd.py).",
        ["convolution", "images", "memory", "", *RATIO, "plain", "element"],
        winograd_lines,
    ),
    (
        "Cross-entropy",
        "With label smoothing of 0.1, of normally distributed logits times the scale, plus the offset; "
        "the error of z is relative to z, that of x̄ ‖error‖ / ‖exact‖.",
        ["rows × classes", "scale", "offset", "", *RATIO],
        loss_lines,
    ),
]


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    where = conditions(torch.device("cpu"))
    print("# Accuracy\n")
    print(
        "Written by `python benchmarks/accuracy.py`; not by hand. Errors of float32 against the same "
        "formula in float64. *ratio*: ansnet's error as a multiple of PyTorch's, or of one rounding, "
        "6.0e-08, where PyTorch's is less.\n"
    )
    print(
        f"Measured on {where['device']}, {where['cpu_capability']}, with {where['threads']} threads, "
        f"torch {where['torch']}, Python {where['python']}, {where['date']}."
    )
    for title, text, header, lines in SECTIONS:
        torch.manual_seed(0)
        table = list(lines())
        print(f"\n## {title}\n\n{text} {worst(header, table)}\n\n{markdown(header, table)}")


def worst(header: Sequence[str], table: Sequence[Line]) -> str:
    """The largest ratio of a table, in a sentence."""
    return f"**The largest ratio is {max(float(line[header.index('ratio')]) for line in table)}.**"


if __name__ == "__main__":
    main()
