"""Max-pooling as a layer."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.functional import max_pool2d
from ansnet.functional.arguments import Size2
from ansnet.functional.left_out import refuse
from ansnet.functional.pooling import Ties, are_side_by_side, checked_windows


class MaxPool2d(nn.Module):
    """`ansnet.functional.max_pool2d`, in the place of `torch.nn.MaxPool2d`.

    Args:
        window_size: K, or (height, width); PyTorch's ``kernel_size``.
        stride, padding, dilation, ceil_mode: as `ansnet.functional.max_pool2d`.
        return_indices: left out, see ``docs/complete.md``.
        ties: ``"all"`` (the notebook's) or ``"first"`` (PyTorch's): which of several equal maxima
            of a window receive its gradient.

    Shapes: N × C × H × W to N × C × Q × Q, which is ⌊H/K⌋ × ⌊W/K⌋ unless a setting is given.
    """

    def __init__(
        self,
        window_size: Size2,
        stride: Size2 | None = None,
        padding: Size2 = 0,
        dilation: Size2 = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        ties: Ties = "all",
    ) -> None:
        super().__init__()
        refuse("MaxPool2d", return_indices=return_indices)
        self.window_size = window_size
        self.stride = window_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.ceil_mode = ceil_mode
        self.ties = ties

    @property
    def side_by_side(self) -> bool:
        """Whether windows neither overlap nor leave gaps, and lie in the image."""
        settings = self.window_size, self.stride, self.padding, self.dilation, self.ceil_mode
        return are_side_by_side(checked_windows(*settings))

    def forward(self, input: Tensor) -> Tensor:
        return max_pool2d(
            input,
            self.window_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            ties=self.ties,
        )

    def extra_repr(self) -> str:
        settings = {
            "stride": (self.stride, self.window_size),
            "padding": (self.padding, 0),
            "dilation": (self.dilation, 1),
            "ceil_mode": (self.ceil_mode, False),
        }
        given = [f", {name}={value}" for name, (value, usual) in settings.items() if value != usual]
        return f"window_size={self.window_size}{''.join(given)}, ties={self.ties!r}"
