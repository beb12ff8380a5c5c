"""VGG7 and VGG7BN, small relatives of VGG (Simonyan and Zisserman, 2015) for 32×32 images."""

from __future__ import annotations

from ansnet.models.notation import Network


class VGG7(Network):
    """Five convolutions, two linear layers (notebook, "Model konvoluční sítě VGG7").

    Args:
        num_classes: number of outputs.

    Shapes: N × 3 × 32 × 32 to N × num_classes. 4,178,570 parameters for 10 classes.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__(
            "CR(64), M(2), CR(128), M(2), CR(256), M(2), CR(512), M(2), CR(512), M(2), "
            f"LR(512), L({num_classes})"
        )


class VGG7BN(Network):
    """`VGG7` with batch normalisation (notebook, "Konvoluční síť s batch normalizací VGG7BN").

    Args:
        num_classes: number of outputs.
        bias: give the convolutions a bias, which the normalisation subtracts again.

    Shapes: N × 3 × 32 × 32 to N × num_classes. 4,180,042 parameters for 10 classes.
    """

    def __init__(self, num_classes: int = 10, bias: bool = False) -> None:
        super().__init__(
            "CNR(64), M(2), CNR(128), M(2), CNR(256), M(2), CNR(512), M(2), CNR(512), M(2), "
            f"LR(512), L({num_classes})",
            bias=bias,
        )
