"""ansnet's own operations, as `check` takes them: reference, samples, layer.

The samples are small, since numerical derivatives are taken of each element, and lie away from
points without a derivative: no two elements of a pooling window are equal, and none of ReLU's is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet import functional, modules
from ansnet.testing.case import Function, Layer, Sample


@dataclass(frozen=True)
class Operation:
    """What `check` needs to know of an operation.

    Attributes:
        function: ansnet's.
        reference: PyTorch's, with ansnet's arguments.
        samples: makes the samples, the same ones each time.
        layer: makes a module that applies the function, and a sample of its inputs.
    """

    function: Function
    reference: Function
    samples: Callable[[], Sequence[Sample]]
    layer: Callable[[], Layer]


def random(*shape: int) -> Tensor:
    """Normally distributed elements, the same for the same shape."""
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)


def distinct(*shape: int) -> Tensor:
    """Elements in random order, no two nearer than 0.1 to each other or to 0."""
    count = torch.Size(shape).numel()
    order = torch.randperm(count, generator=torch.Generator().manual_seed(count))
    return (0.1 * (order.double() - count // 2 + 0.5)).reshape(shape).requires_grad_()


def complex_random(*shape: int) -> Tensor:
    """Complex elements, the same for the same shape."""
    parts = random(*shape, 2).detach()
    return torch.view_as_complex(parts).clone().requires_grad_()


def conv2d_samples() -> list[Sample]:
    """Each hyperparameter alone and with the others, on images and windows that are not square."""
    images, filters, bias = random(3, 2, 5, 4), random(2, 2, 3, 2), random(2)
    return [
        Sample(images, filters, bias),
        Sample(images, filters, stride=2, padding=1),
        Sample(random(1, 4, 5, 4), random(2, 2, 2, 3), random(2), (2, 3), (1, 2), (2, 1), 2),
        Sample(random(2, 4, 3), random(2, 2, 3, 1), random(2), padding="same"),
        Sample(complex_random(2, 1, 4, 3), complex_random(2, 1, 2, 2), complex_random(2), stride=2),
    ]


def max_pool2d_samples() -> list[Sample]:
    """Both rules for ties; windows side by side and not, square and not, with left-over rows or not."""
    return [
        Sample(distinct(2, 3, 4, 6), 2),
        Sample(distinct(2, 2, 5, 7), (2, 3), ties="first"),
        Sample(distinct(3, 5, 4), (1, 4)),
        Sample(distinct(2, 2, 3, 2), 1),
        Sample(distinct(2, 2, 5, 4), 3, stride=2, padding=1),
        Sample(distinct(2, 2, 5, 4), 3, stride=2, padding=1, ties="first"),
        Sample(distinct(2, 5, 6), (3, 2), (1, 2), (1, 0), (2, 1), True),
        Sample(distinct(1, 2, 5, 6), 2, 3, ceil_mode=True, ties="first"),
        Sample(distinct(3, 2, 4, 4), 2, 1, dilation=2, ties="first"),
    ]


def max_pool2d_reference(input: Tensor, window_size: Any, *settings: Any, **options: Any) -> Tensor:
    """PyTorch's max-pooling; without ties, both rules are its."""
    options.pop("ties", None)
    z: Tensor = F.max_pool2d(input, window_size, *settings, **options)
    return z


def relu_max_pool2d_samples() -> list[Sample]:
    """Square and other windows, with and without left-over rows and columns, one image."""
    return [
        Sample(distinct(2, 3, 4, 6), 2),
        Sample(distinct(2, 2, 5, 7), (2, 3)),
        Sample(distinct(3, 5, 4), (1, 4)),
    ]


def relu_max_pool2d_reference(input: Tensor, window_size: Any) -> Tensor:
    """PyTorch's ReLU and max-pooling."""
    return F.max_pool2d(F.relu(input), window_size)


def reshape_samples() -> list[Sample]:
    """Merged, split and unchanged axes, sizes given one by one, as a tuple, and as -1."""
    return [
        Sample(random(2, 3, 4), 2, 12),
        Sample(random(2, 3, 4), (-1, 2, 2)),
        Sample(random(2, 3, 2, 2), 2, 12),
        Sample(random(2, 3), 2, 3),
    ]


def linear_samples() -> list[Sample]:
    """Rows, one row, images, without a bias, complex."""
    weight, bias = random(2, 3), random(2)
    return [
        Sample(random(4, 3), weight, bias),
        Sample(random(3), weight),
        Sample(random(4, 2, 2, 3), weight, bias),
        Sample(complex_random(4, 3), complex_random(2, 3), complex_random(2)),
    ]


def batch_norm_samples(*shape: int) -> list[Sample]:
    """Training and evaluation, with and without running averages, weight and bias."""
    channels = shape[1]
    weight, bias = random(channels), random(channels)
    mean, variance = random(channels).detach(), random(channels).detach().square() + 0.5
    return [
        Sample(random(*shape), weight, bias, training=True),
        Sample(random(*shape), weight, bias, mean, variance, training=True, momentum=0.3),
        Sample(random(*shape), weight, bias, mean, variance, eps=0.01),
        Sample(random(*shape), training=True),
        Sample(random(*shape), None, bias, mean, variance),
    ]


def batch_norm_reference(
    input: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """PyTorch's batch normalisation, its tensors in ansnet's order.

    A weight of 1 stands in for none, because without one, when not training, PyTorch's (2.11 to 2.15)
    second derivative by the bias is 0, and fails `torch.autograd.gradgradcheck`.
    """
    if weight is None and bias is not None and not options.get("training"):
        weight = torch.ones_like(bias)
    return F.batch_norm(input, running_mean, running_var, weight, bias, **options)


def batch_norm_relu2d_samples() -> list[Sample]:
    """Those of batch normalisation, and pooled in training and evaluation."""
    weight, bias = random(3), random(3)
    mean, variance = random(3).detach(), random(3).detach().square() + 0.5
    pooled = random(4, 3, 4, 5), weight, bias
    return [
        *batch_norm_samples(4, 3, 2, 3),
        Sample(*pooled, training=True, window_size=2),
        Sample(*pooled, mean, variance, training=True, window_size=(2, 3)),
        Sample(*pooled, mean, variance, window_size=2),
    ]


def batch_norm_relu2d_reference(
    input: Tensor, *arguments: Any, window_size: Any = None, **options: Any
) -> Tensor:
    """PyTorch's batch normalisation, ReLU and max-pooling."""
    z = F.relu(batch_norm_reference(input, *arguments, **options))
    return z if window_size is None else F.max_pool2d(z, window_size)


def cross_entropy_samples() -> list[Sample]:
    """Classes and probabilities, settings alone and with others; rows, and over further axes."""
    scores, classes = random(4, 3), torch.tensor([0, 2, 1, 2])
    weight = random(3).detach().square() + 0.5
    probabilities = random(4, 3).detach().softmax(1).requires_grad_()
    images, labels = random(2, 3, 2, 2), torch.tensor([[[0, 2], [1, 2]], [[1, 1], [0, 2]]])
    return [
        Sample(scores, classes),
        Sample(scores, classes, label_smoothing=0.1),
        Sample(random(5), torch.tensor(3)),
        Sample(images, labels),
        Sample(scores, classes, weight),
        Sample(scores, classes, weight, ignore_index=2, label_smoothing=0.2),
        Sample(scores, classes, ignore_index=2, reduction="none"),
        Sample(images, labels, weight, reduction="sum", label_smoothing=0.1),
        Sample(scores, probabilities),
        Sample(scores, probabilities, weight.clone().requires_grad_(), reduction="none"),
        Sample(scores, probabilities.detach(), weight, reduction="sum", label_smoothing=0.1),
        Sample(images, images.detach().softmax(1).requires_grad_(), label_smoothing=0.3),
        Sample(random(1, 5), random(1, 5), random(5)),
    ]


OPERATIONS = {
    operation.function.__name__: operation
    for operation in (
        Operation(
            functional.conv2d,
            F.conv2d,
            conv2d_samples,
            lambda: (modules.Conv2d(2, 4, 3).double(), Sample(random(3, 2, 5, 4))),
        ),
        Operation(
            functional.relu,
            F.relu,
            lambda: [Sample(distinct(3, 4)), Sample(distinct(2, 3, 2, 2)), Sample(distinct())],
            lambda: (modules.ReLU(), Sample(distinct(3, 4))),
        ),
        Operation(
            functional.max_pool2d,
            max_pool2d_reference,
            max_pool2d_samples,
            lambda: (modules.MaxPool2d(2), Sample(distinct(2, 3, 4, 6))),
        ),
        Operation(
            functional.reshape,
            torch.Tensor.reshape,
            reshape_samples,
            lambda: (modules.Flatten(), Sample(random(2, 3, 4))),
        ),
        Operation(
            functional.linear,
            F.linear,
            linear_samples,
            lambda: (modules.Linear(3, 2).double(), Sample(random(4, 3))),
        ),
        Operation(
            functional.batch_norm1d,
            batch_norm_reference,
            lambda: [*batch_norm_samples(5, 3), *batch_norm_samples(4, 3, 2)],
            lambda: (modules.BatchNorm1d(3).double(), Sample(random(5, 3))),
        ),
        Operation(
            functional.batch_norm2d,
            batch_norm_reference,
            lambda: batch_norm_samples(4, 3, 2, 3),
            lambda: (modules.BatchNorm2d(3).double(), Sample(random(4, 3, 2, 3))),
        ),
        Operation(
            functional.relu_max_pool2d,
            relu_max_pool2d_reference,
            relu_max_pool2d_samples,
            lambda: (
                modules.Sequence(modules.ReLU(), modules.MaxPool2d(2, ties="first")),
                Sample(distinct(2, 3, 4, 6)),
            ),
        ),
        Operation(
            functional.batch_norm_relu2d,
            batch_norm_relu2d_reference,
            batch_norm_relu2d_samples,
            lambda: (
                modules.Sequence(modules.BatchNorm2d(3), modules.ReLU()).double(),
                Sample(random(4, 3, 2, 3)),
            ),
        ),
        Operation(
            functional.cross_entropy,
            F.cross_entropy,
            cross_entropy_samples,
            lambda: (modules.SoftmaxCrossEntropy(), cross_entropy_samples()[0]),
        ),
    )
}
