"""Whole training steps of each network, beside those of its `torch.nn` twin::

    python benchmarks/training_step.py
    python benchmarks/training_step.py --models vgg7 --no-compiled
    python benchmarks/training_step.py --device cuda --precision float32

A step is forward, loss, backward, Adam and zero_grad on one batch that stays. ansnet is used as
train.py uses it: in channels-last, and on CUDA compiled. The twin has four settings: eager or
compiled, contiguous or channels-last. The ratio is to the fastest of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ansnet.models import create_model, list_models, torch_twin
from ansnet.modules import SoftmaxCrossEntropy
from measure import Call, Contender, make_parser, measure, prepare, size_of
from operations import FORMATS
from results import Row, Work, place, show, show_means, write

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def make_step(
    network: nn.Module,
    criterion: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    targets: Tensor,
    precision: str,
) -> Call:
    """One step of training; under autocast in any precision but float32."""

    def step() -> None:
        with torch.autocast(images.device.type, PRECISIONS[precision], enabled=precision != "float32"):
            loss = criterion(network(images), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def make_contender(
    provider: str,
    network: nn.Module,
    criterion: nn.Module,
    batch: tuple[Tensor, Tensor],
    memory_format: str,
    precision: str,
) -> Contender:
    """A network in its setting; ``provider`` says whether it is compiled."""
    images, targets = batch
    images = images.contiguous(memory_format=FORMATS[memory_format])
    network.to(memory_format=FORMATS[memory_format])
    if "compiled" in provider:
        network.compile()
    # At a learning rate of 0 every step does the same work, instead of ever smaller gradients'.
    optimizer = torch.optim.Adam(network.parameters(), lr=0.0, fused=True)
    step = make_step(network, criterion, optimizer, images, targets, precision)
    step()  # makes the optimizer's state
    held = [*network.parameters(), *network.buffers(), images, targets]
    held += [value for state in optimizer.state.values() for value in state.values()]
    return Contender(provider, memory_format, step, size_of(held))


def make_contenders(
    model: str, batch: tuple[Tensor, Tensor], precision: str, compiled: bool
) -> list[Contender]:
    """The network as train.py uses it, and its twin in each setting."""
    network = create_model(model).to(batch[0].device)
    settings: list[tuple[str, nn.Module, nn.Module, str]] = [
        (f"torch{how}", torch_twin(network), nn.CrossEntropyLoss(), memory_format)
        for how in (("", " compiled") if compiled else ("",))
        for memory_format in FORMATS
    ]
    how = " compiled" if compiled and batch[0].is_cuda else ""
    settings.insert(0, (f"ansnet{how}", network, SoftmaxCrossEntropy(), "channels_last"))
    return [
        make_contender(provider, network, criterion, batch, memory_format, precision)
        for provider, network, criterion, memory_format in settings
    ]


def main() -> None:
    parser = make_parser(__doc__, rounds=10)
    parser.add_argument("--models", nargs="+", choices=list_models(), default=list_models())
    parser.add_argument("--precision", choices=PRECISIONS, help="default bfloat16 on CUDA")
    parser.add_argument("--no-compiled", action="store_true", help="only eager contenders")
    options = parser.parse_args()
    device = prepare(options)
    precision = options.precision or ("bfloat16" if device.type == "cuda" else "float32")
    targets = torch.randint(10, (options.batch_size,), device=device)
    batch = torch.randn(options.batch_size, 3, 32, 32, device=device), targets
    rows: list[Row] = []
    for model in options.models:
        torch.compiler.reset()
        contenders = make_contenders(model, batch, precision, not options.no_compiled)
        work = Work("training_step", model, f"batch {options.batch_size}", "step", precision)
        measured = work.rows(measure(contenders, options.rounds, device), device)
        show(measured)
        rows += measured
    show_means(rows)
    write(rows, place(options.results, "training_step", device, precision))


if __name__ == "__main__":
    main()
