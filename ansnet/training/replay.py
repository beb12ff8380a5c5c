"""Many small kernels as one: recorded once, and from then on started all at a time."""

from __future__ import annotations

from collections.abc import Callable

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
        self.recorded: list[object] | None = None

    def __call__(self, tensors: list[Tensor]) -> list[Tensor]:
        if not all(tensor.is_cuda for tensor in tensors):
            return self.function(tensors)
        kinds: list[object] = [(x.shape, x.stride(), x.dtype, x.device) for x in tensors]
        if self.recorded != kinds:
            self.record(tensors)
            self.recorded = kinds
        for recorded, tensor in zip(self.inputs, tensors, strict=True):
            recorded.copy_(tensor)
        self.graph.replay()
        return self.outputs

    def record(self, tensors: list[Tensor]) -> None:
        self.inputs = [tensor.clone() for tensor in tensors]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self.function(self.inputs)  # what libraries set up at their first use is no part of it
        torch.cuda.current_stream().wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        # cuBLAS keeps what it has once worked in: that of this graph is to live as long as this graph
        torch._C._cuda_clearCublasWorkspaces()
        with torch.cuda.graph(self.graph):
            self.outputs = self.function(self.inputs)
        torch._C._cuda_clearCublasWorkspaces()
