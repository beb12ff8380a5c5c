"""Max-pooling as a layer."""

from __future__ import annotations

from torch import Tensor, nn

from ansnet.functional import max_pool2d
from ansnet.functional.arguments import Size2
from ansnet.functional.left_out import refuse
from ansnet.functional.pooling import Ties, are_side_by_side, checked_windows
from ansnet.modules.layer import Layer, leaf


class MaxPool2d(Layer, nn.MaxPool2d):
    """`ansnet.functional.max_pool2d`, in the place of `torch.nn.MaxPool2d`.

    Args:
        kernel_size: K, or (height, width) of the window.
        stride, padding, dilation, ceil_mode: as `ansnet.functional.max_pool2d`.
        return_indices: left out, see ``docs/complete.md``.
        ties: ``"all"`` (the notebook's) or ``"first"`` (PyTorch's): which of several equal maxima
            of a window receive its gradient.

    Shapes: N × C × H × W to N × C × Q × Q, which is ⌊H/K⌋ × ⌊W/K⌋ unless a setting is given.
    """

    twin = nn.MaxPool2d
    ties: Ties

    def __init__(
        self,
        kernel_size: Size2,
        stride: Size2 | None = None,
        padding: Size2 = 0,
        dilation: Size2 = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        ties: Ties = "all",
    ) -> None:
        refuse("MaxPool2d", return_indices=return_indices)
        settings = kernel_size, stride, padding, dilation, return_indices, ceil_mode
        super().__init__(*settings)  # type: ignore[arg-type]
        self.ties = ties

    @property
    def side_by_side(self) -> bool:
        """Whether windows neither overlap nor leave gaps, and lie in the image."""
        return are_side_by_side(checked_windows(*self.windows))

    @property
    def windows(self) -> tuple[Size2, Size2, Size2, Size2, bool]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode

    @leaf
    def forward(self, input: Tensor) -> Tensor:
        return max_pool2d(input, *self.windows, self.return_indices, ties=self.ties)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, ties={self.ties!r}"
