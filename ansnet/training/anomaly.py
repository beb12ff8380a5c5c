"""Which operation makes the first number that is not finite: ``--detect-anomaly``.

Every layer's output is looked at while it is computed, and every gradient by PyTorch's anomaly
detection. That is slow, and for finding a fault only. The layers are called one by one, so that what
is found is of one of them, and nothing is compiled.

Source: PyTorch, ``torch.autograd.set_detect_anomaly``, which looks for what is not a number, and not
for what is infinite.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ansnet.compatibility import lightning
from ansnet.training.finite import Finding, in_words, not_finite, places
from ansnet.training.stopped import TrainingStopped, gradient_that_is_no_number

Trainer = lightning.Trainer
LightningModule = lightning.LightningModule

FRAME = re.compile(
    r'^  File "(?P<file>.*)", line (?P<line>\d+), in (?P<function>.*)\n    (?P<code>.*)$', re.MULTILINE
)
DETECTED = "Error detected in "
LAYER = "  of the layer "
TRACEBACK = "traceback_"  # PyTorch's key of the text that it shows of a node of the graph


class AnomalyWatch(lightning.Callback):
    """Stops the training in the layer whose output is the first that is not finite.

    It also has PyTorch's detection say which layer an operation belongs to.

    Raises:
        TrainingStopped: naming the layer, and the images.
    """

    def __init__(self) -> None:
        self.handles: list[Any] = []

    def on_train_batch_start(
        self, trainer: Trainer, module: LightningModule, batch: Any, index: int
    ) -> None:
        for name, layer in module.named_modules():
            is_layer = not any(True for _ in layer.children())
            if is_layer and name.split(".")[0] in ("network", "criterion"):
                look = partial(self.look, trainer, index, name)
                self.handles.append(layer.register_forward_hook(look))

    def on_train_batch_end(self, *unused: Any) -> None:
        """Leave the layers as they were to whoever copies or records them."""
        while self.handles:
            self.handles.pop().remove()

    def on_exception(self, *unused: Any) -> None:
        self.on_train_batch_end()

    def look(
        self, trainer: Trainer, batch: int, name: str, layer: nn.Module, given: Any, output: Any
    ) -> None:
        """Look at a layer's output, and mark what its gradient will be computed by."""
        if not isinstance(output, Tensor):
            return
        inputs = [each for each in given if isinstance(each, Tensor)]
        mark(output, inputs, f"{name}, {described(layer)}")
        if output.isfinite().all():
            return
        broken = not_finite((str(i), each) for i, each in enumerate(inputs))
        details = {
            "layer": f"{name}, {described(layer)}",
            "input": "not finite" if broken else "finite",
        }
        if weights := not_finite(layer.named_parameters()):
            details["not finite"] = f"its {' and its '.join(weights)}"
        if output.ndim and len(output) == len(inputs[0]):
            bad = [i for i, each in enumerate(output) if not each.isfinite().all()]
            found = places(trainer.train_dataloader, trainer.current_epoch, batch, bad)
            details["images"] = in_words(Finding(images=len(output), bad=found), "training")
        raise TrainingStopped(
            "the output of a layer is the first that is not finite", details | moment(trainer, batch)
        )


def mark(output: Tensor, inputs: list[Tensor], text: str) -> None:
    """Add a line to what PyTorch shows of each node of the graph between inputs and output."""
    ends = {each.grad_fn for each in inputs}
    nodes, seen = list[Any]([output.grad_fn]), set[Any]()
    while nodes:
        node = nodes.pop()
        if node is None or node in ends or node in seen:
            continue
        seen.add(node)
        if TRACEBACK in node.metadata:
            node.metadata[TRACEBACK].append(f"{LAYER}{text}\n")
        nodes += [before for before, _ in node.next_functions]


def described(layer: nn.Module) -> str:
    return " ".join(str(layer).split())


def moment(trainer: Trainer, batch: int) -> dict[str, str]:
    epoch = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
    rate = trainer.optimizers[0].param_groups[0]["lr"]
    return {"step": f"{trainer.global_step} ({epoch}, batch {batch + 1})", "rate": f"{rate:g}"}


@contextmanager
def named(trainer: Trainer) -> Iterator[None]:
    """Turns what PyTorch says of a gradient that is no number into a few lines.

    Raises:
        TrainingStopped: naming the operation, and the line of its forward.
    """
    told: list[str] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("always", f"{DETECTED}.*")
        show = warnings.showwarning

        def keep(message: Warning | str, *about: Any, **more: Any) -> None:
            if str(message).startswith(DETECTED):
                told.append(str(message))
            else:
                show(message, *about, **more)

        warnings.showwarning = keep
        try:
            yield
        except RuntimeError as error:
            found = gradient_that_is_no_number(error)
            if found is None:
                raise
            operation, number = found
            batch = trainer.fit_loop.epoch_loop.batch_idx
            details = {**in_forward("".join(told)), **moment(trainer, batch)}
            raise TrainingStopped(
                f"the backward of {operation} gives a gradient that is not a number, that of its "
                f"{argument(operation, number)}",
                details,
            ) from None


def argument(operation: str, number: int) -> str:
    """What an argument of an operation of ours is called in its formula."""
    for function in functions(torch.autograd.Function):
        if function.__name__ == operation and function.__module__.startswith("ansnet."):
            names = list(signature(function.forward).parameters)
            return f"argument {names[number]}"
    return f"{('first', 'second', 'third')[number] if number < 3 else number} argument"


def functions(kind: type[Any]) -> Iterator[type[Any]]:
    for each in kind.__subclasses__():
        yield each
        yield from functions(each)


def in_forward(trace: str) -> dict[str, str]:
    """The layer, and the line of the forward, in a trace of PyTorch's."""
    details: dict[str, str] = {}
    layer = re.search(rf"^{LAYER}(.*)$", trace, re.MULTILINE)
    if layer is not None:
        details["layer"] = layer[1]
    own = [frame for frame in FRAME.finditer(trace) if not is_machinery(frame["file"])]
    if own:
        frame = own[-1]
        details["forward"] = (
            f"{place(frame['file'])}, line {frame['line']}, in {frame['function']}: {frame['code']}"
        )
    return details


def is_machinery(file: str) -> bool:
    """Whether a line of the file calls every operation, and tells of none."""
    parts = Path(file).parts
    return {"torch", "lightning"} & {*parts} != set() or parts[-2:] == ("functional", "function.py")


def place(file: str) -> str:
    """A file as it is called in the package, or all of its path."""
    parts = Path(file).parts
    return (
        "/".join(parts[len(parts) - parts[::-1].index("ansnet") - 1 :]) if "ansnet" in parts else file
    )
