"""Many small kernels as one: recorded once, and from then on started all at a time."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Function = Callable[[list[Tensor]], list[Tensor]]


class Replayed:
    """A function of tensors that replays on CUDA what it did there the first time.

    A GPU is done with a small matrix sooner than a CPU has asked for it. Recorded as a graph, all that
    a call asks for is asked for at once. It must be the same each time: what is done may depend on the
    tensors' shapes, not on their elements. Elsewhere than on CUDA the function is simply called.

    Args:
        function: makes a list of tensors from a list of tensors, and writes to none of them.

    Calling it gives what the function gives. On CUDA these tensors are written anew by the next call.

    Source: PyTorch, *CUDA semantics*, section *CUDA Graphs*.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.recordings: dict[object, Recording] = {}

    def __call__(self, tensors: list[Tensor]) -> list[Tensor]:
        if not all(tensor.is_cuda for tensor in tensors):
            return self.function(tensors)
        kinds = tuple((x.shape, x.stride(), x.dtype, x.device) for x in tensors)
        if kinds not in self.recordings:
            self.recordings[kinds] = record(self.function, [tensor.clone() for tensor in tensors])
        recording = self.recordings[kinds]
        for input, tensor in zip(recording.inputs, tensors, strict=True):
            input.copy_(tensor)
        recording.graph.replay()
        return recording.outputs


class Recording(NamedTuple):
    """A graph of kernels, and the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor]
    outputs: list[Tensor]


def record(function: Function, inputs: list[Tensor]) -> Recording:
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        function(inputs)  # what libraries set up at their first use is no part of it
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    gc.collect()  # an earlier training's graph, freed while this one is recorded, would break it off
    # cuBLAS keeps what it has once worked in: that of this graph is to live as long as this graph
    torch._C._cuda_clearCublasWorkspaces()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        outputs = function(inputs)
    torch._C._cuda_clearCublasWorkspaces()
    return Recording(graph, inputs, outputs)
