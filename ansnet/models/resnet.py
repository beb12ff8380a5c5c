"""ResNet9, the community's small residual network for CIFAR-10."""

from __future__ import annotations

from ansnet.models.notation import Network


class ResNet9(Network):
    """Eight convolutions, two of the pairs residual (notebook, "Residuální sítě ResNet").

    Args:
        num_classes: number of outputs.
        bias: give the convolutions a bias, which the normalisation subtracts again.
        hidden_features: width of the linear layer before the last; None leaves it out, as the
            community's networks do.

    Shapes: N × 3 × 32 × 32 to N × num_classes. 6,835,786 parameters for 10 classes, 6,573,130
    without the hidden layer.

    Source: Page, *How to train your ResNet* (myrtle.ai, 2018).
    """

    def __init__(
        self, num_classes: int = 10, bias: bool = False, hidden_features: int | None = 512
    ) -> None:
        hidden = "" if hidden_features is None else f"LR({hidden_features}), "
        super().__init__(
            "CNR(64), CNR(128), M(2), res(CNR(128), CNR(128)), CNR(256), M(2), CNR(512), M(2), "
            f"res(CNR(512), CNR(512)), M(4), {hidden}L({num_classes})",
            bias=bias,
        )
