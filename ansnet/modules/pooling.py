"""Max-pooling as a layer."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.functional import max_pool2d
from ansnet.functional.arguments import Size2
from ansnet.functional.pooling import Ties


class MaxPool2d(nn.Module):
    """`ansnet.functional.max_pool2d`, in the place of `torch.nn.MaxPool2d`.

    Args:
        window_size: K, or (height, width); also the step.
        ties: ``"all"`` (the notebook's) or ``"first"`` (PyTorch's): which of several equal maxima
            of a window receive its gradient.

    Shapes: N × C × H × W to N × C × ⌊H/K⌋ × ⌊W/K⌋.
    """

    def __init__(self, window_size: Size2, ties: Ties = "all") -> None:
        super().__init__()
        self.window_size = window_size
        self.ties = ties

    def forward(self, input: Tensor) -> Tensor:
        return max_pool2d(input, self.window_size, self.ties)

    def extra_repr(self) -> str:
        return f"window_size={self.window_size}, ties={self.ties!r}"
