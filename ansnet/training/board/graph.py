"""The network's graph, as ``SummaryWriter.add_graph`` records it, with less in the way."""

from __future__ import annotations

import re
import warnings
from typing import Any

import torch
from torch import nn

from ansnet.training.board.layers import uncompiled_copy

LITERALS = {"prim::Constant", "prim::ListConstruct"}  # padding, stride and the like
ENDS = {"input", "output"}


def trace_graph(network: nn.Module, image_shape: tuple[int, ...]) -> Any:
    """Follow one black image through a copy of the network, on the CPU in float32.

    TensorBoard would show a single box, to be opened, with every number that a layer is called with as
    a node of its own. So the box of the whole network is left out, and these numbers are.

    Args:
        network: any; it is left alone, compiled or not, wherever it is.
        image_shape: C × H × W.

    Returns:
        A ``GraphDef`` of TensorBoard's, of layers and what is in them.
    """
    from torch.utils.tensorboard._pytorch_graph import graph

    copy = uncompiled_copy(network).cpu().float()
    image = torch.zeros(1, *image_shape)
    with warnings.catch_warnings(), torch.no_grad(), torch.compiler.set_stance("force_eager"):
        # of `torch.jit.trace`: that it is deprecated, and what a trace cannot follow
        warnings.simplefilter("ignore")
        traced, _ = graph(copy, image)
    # PyTorch leaves out the modules that parameters are taken from, but not the edges from them
    kept = {node.name for node in traced.node if node.op not in LITERALS}
    for i in reversed(range(len(traced.node))):
        node = traced.node[i]
        if node.name not in kept:
            del traced.node[i]
            continue
        inputs = [short(name) for name in node.input if name in kept]
        node.name = short(node.name)
        del node.input[:]
        node.input.extend(inputs)
    add_output(traced)
    return traced


def add_output(graph: Any) -> None:
    """Add the output where PyTorch has lost it, to a value that a ``forward`` calls ``output``."""
    if not any(node.name.startswith("output/") for node in graph.node):
        used = {name for node in graph.node for name in node.input}
        last = [node.name for node in graph.node if node.name not in used and node.input]
        graph.node.add(name="output/output.1", op="IO Node", input=last)


def short(name: str) -> str:
    """``Network/Conv2d[conv1]/weight/w`` as ``conv1/weight/w``: without the whole, and the kinds."""
    root, slash, rest = name.partition("/")
    return name if root in ENDS or not slash else re.sub(r"[^/\[\]]+\[([^/\]]+)\]", r"\1", rest)


def write_graph(writer: Any, graph: Any) -> None:
    """Write a ``GraphDef`` to a ``SummaryWriter``."""
    from tensorboard.compat.proto.event_pb2 import Event

    writer._get_file_writer().add_event(Event(graph_def=graph.SerializeToString()))
