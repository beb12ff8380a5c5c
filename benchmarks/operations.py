"""Each operation of the networks, at each shape that it has there, beside PyTorch's own::

    python benchmarks/operations.py
    python benchmarks/operations.py --device cuda --only conv2d

The shapes are found by sending a batch through the networks without computing it, on the device
``meta``. To measure a function that computes several layers in a row, add it to `OPERATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import ansnet.functional as ansnet
from ansnet.models import Network, create_model, list_models, torch_twin
from measure import Call, Contender, make_parser, measure, prepare
from results import Work, place, show, show_means, write

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
PASSES = ("forward", "forward+backward")


@dataclass(frozen=True)
class Operation:
    """A layer, or several in a row, as ansnet and as PyTorch compute it.

    Attributes:
        name: in the tables.
        layers: the classes of the layers in the `torch.nn` network.
        ours: called with those layers, for their settings, then what goes into the first, then
            the parameters and running averages of each.
        native: the same, by PyTorch's functions.
    """

    name: str
    layers: tuple[type[nn.Module], ...]
    ours: Callable[..., Tensor]
    native: Callable[..., Tensor]


OPERATIONS = [
    Operation(
        "conv2d",
        (nn.Conv2d,),
        lambda conv, x, w, b=None: ansnet.conv2d(x, w, b, padding=conv.padding),
        lambda conv, x, w, b=None: F.conv2d(x, w, b, padding=conv.padding),
    ),
    Operation(
        "batch_norm2d",
        (nn.BatchNorm2d,),
        lambda _, x, w, b, mean, var: ansnet.batch_norm2d(x, w, b, mean, var, training=True),
        lambda _, x, w, b, mean, var: F.batch_norm(x, mean, var, w, b, training=True),
    ),
    Operation(
        "relu",
        (nn.ReLU,),
        lambda _, x: ansnet.relu(x),
        lambda _, x: F.relu(x),
    ),
    Operation(
        "max_pool2d",
        (nn.MaxPool2d,),
        lambda pool, x: ansnet.max_pool2d(x, pool.kernel_size, ties="first"),
        lambda pool, x: F.max_pool2d(x, pool.kernel_size),
    ),
    Operation(
        "relu_max_pool2d",
        (nn.ReLU, nn.MaxPool2d),
        lambda _, pool, x: ansnet.relu_max_pool2d(x, pool.kernel_size),
        lambda _, pool, x: F.max_pool2d(F.relu(x), pool.kernel_size),
    ),
    Operation(
        "batch_norm_relu2d",
        (nn.BatchNorm2d, nn.ReLU),
        lambda norm, _, x, w, b, mean, var: ansnet.batch_norm_relu2d(x, w, b, mean, var, training=True),
        lambda norm, _, x, w, b, mean, var: F.relu(F.batch_norm(x, mean, var, w, b, training=True)),
    ),
    Operation(
        "batch_norm_relu2d, pooled",
        (nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d),
        lambda norm, _, pool, x, w, b, mean, var: ansnet.batch_norm_relu2d(
            x, w, b, mean, var, training=True, window_size=pool.kernel_size
        ),
        lambda norm, _, pool, x, w, b, mean, var: F.max_pool2d(
            F.relu(F.batch_norm(x, mean, var, w, b, training=True)), pool.kernel_size
        ),
    ),
    Operation(
        "reshape",
        (nn.Flatten,),
        lambda _, x: ansnet.reshape(x, len(x), -1),
        lambda _, x: x.reshape(len(x), -1),
    ),
    Operation(
        "linear",
        (nn.Linear,),
        lambda _, x, w, b=None: ansnet.linear(x, w, b),
        lambda _, x, w, b=None: F.linear(x, w, b),
    ),
    Operation(
        "cross_entropy",
        (nn.CrossEntropyLoss,),
        lambda _, scores, targets: ansnet.cross_entropy(scores, targets),
        lambda _, scores, targets: F.cross_entropy(scores, targets),
    ),
]


@dataclass(frozen=True)
class Execution:
    """A layer at work in a network: what went in and what came out."""

    layer: nn.Module
    inputs: tuple[Tensor, ...]
    output: Tensor


@dataclass(frozen=True)
class Case:
    """An operation at one shape.

    Attributes:
        inputs: on the device ``meta``: shapes, and whether the network needs the gradient.
    """

    name: str
    shape: str
    ours: Callable[..., Tensor]
    native: Callable[..., Tensor]
    inputs: tuple[Tensor, ...]

    @property
    def formats(self) -> list[str]:
        has_images = any(tensor.dim() == 4 for tensor in self.inputs)
        return list(FORMATS) if has_images else ["contiguous"]


def find_cases(networks: Sequence[Network], batch_size: int) -> list[Case]:
    """The distinct operations of the networks and of the loss, in the order of `OPERATIONS`."""
    cases: dict[tuple[str, str], Case] = {}
    for network in networks:
        executions = execute(network, batch_size)
        for operation in OPERATIONS:
            for start in range(len(executions)):
                row = executions[start : start + len(operation.layers)]
                if matches(row, operation):
                    case = make_case(row, operation)
                    cases.setdefault((case.name, case.shape), case)
    names = [operation.name for operation in OPERATIONS]
    return sorted(cases.values(), key=lambda case: names.index(case.name))


def execute(network: Network, batch_size: int) -> list[Execution]:
    """What the layers of the network's twin, and the loss, do in a training step."""
    twin, criterion = torch_twin(network), nn.CrossEntropyLoss()
    executions: list[Execution] = []

    def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        executions.append(Execution(layer, inputs, output))

    for layer in (*twin.modules(), criterion):
        if not any(layer.children()):
            layer.register_forward_hook(record)
    scores = twin(torch.empty(batch_size, *network.in_shape, device="meta"))
    criterion(scores, torch.empty(batch_size, dtype=torch.int64, device="meta"))
    return executions


def matches(row: Sequence[Execution], operation: Operation) -> bool:
    """Whether the layers are the operation's, each taking what the one before it made."""
    return tuple(type(execution.layer) for execution in row) == operation.layers and all(
        after.inputs[0] is before.output for before, after in pairwise(row)
    )


def make_case(row: Sequence[Execution], operation: Operation) -> Case:
    layers = [execution.layer for execution in row]
    inputs, output = row[0].inputs, row[-1].output
    shape = f"{describe(inputs[0])} → {describe(output)}"
    if any(isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None for layer in layers):
        shape += " + bias"
    return Case(
        operation.name,
        shape,
        partial(operation.ours, *layers),
        partial(operation.native, *layers),
        (*inputs, *(tensor for layer in layers for tensor in tensors_of(layer))),
    )


def tensors_of(layer: nn.Module) -> list[Tensor]:
    """Parameters and running averages, without the counter of batches."""
    averages = [buffer for buffer in layer.buffers() if buffer.is_floating_point()]
    return [*layer.parameters(), *averages]


def describe(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "scalar"


def draw_like(tensor: Tensor, device: torch.device, memory_format: str) -> Tensor:
    """Random values, or classes, of the shape of a tensor, which need a gradient if it does."""
    if not tensor.is_floating_point():
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)
    values = torch.randn(tensor.shape, dtype=tensor.dtype, device=device)
    if tensor.dim() == 4:
        values = values.contiguous(memory_format=FORMATS[memory_format])
    return values.requires_grad_(tensor.requires_grad)


def make_call(function: Callable[..., Tensor], inputs: Sequence[Tensor], passes: str) -> Call:
    """The function of the inputs, recorded for the backward pass, or also that pass itself."""
    if passes == "forward":
        return partial(function, *inputs)
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    grad_z = torch.randn_like(function(*inputs))

    def forward_and_backward() -> Any:
        return torch.autograd.grad(function(*inputs), wanted, grad_z)

    return forward_and_backward


def main() -> None:
    parser = make_parser(__doc__, rounds=15)
    parser.add_argument("--only", default="*", help="operations, as a pattern such as 'batch*'")
    options = parser.parse_args()
    device = prepare(options)
    with torch.device("meta"):
        networks = [create_model(name) for name in list_models()]
    cases = find_cases(networks, options.batch_size)
    cases = [case for case in cases if fnmatch(case.name, options.only)]
    if not cases:
        names = ", ".join(operation.name for operation in OPERATIONS)
        parser.error(f"--only {options.only}: the operations are {names}")
    rows = []
    for case in cases:
        for memory_format in case.formats:
            inputs = [draw_like(tensor, device, memory_format) for tensor in case.inputs]
            for passes in PASSES:
                contenders = [
                    Contender("ansnet", memory_format, make_call(case.ours, inputs, passes)),
                    Contender("torch", memory_format, make_call(case.native, inputs, passes)),
                ]
                work = Work("operations", case.name, case.shape, passes, "float32")
                rows += work.rows(measure(contenders, options.rounds, device), device)
                show(rows[-2:])
    show_means(rows)
    write(rows, place(options.results, "operations", device, "float32"))


if __name__ == "__main__":
    main()
