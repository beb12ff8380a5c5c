"""Grad-CAM: which places of an image speak for a class.

Let A be the maps of a layer, K × H × W for an image, and yᶜ the score of class c, before the softmax. A
map counts as much as the score changes with it, on the mean over its places::

    αₖᶜ = 1/(H·W) · Σᵢ Σⱼ ∂yᶜ/∂Aₖᵢⱼ                    (1)
    Lᶜ  = ReLU( Σₖ αₖᶜ · Aₖ )                           (2)

The ReLU keeps the places that speak for the class, and leaves out those that speak for others.

The paper takes the last convolution's maps, for they know most of what is where. Here these may be so
small that they tell no place from another: VGG7's last ones are 2×2, then 1×1. So the maps are those of
the last layer that still has `SMALLEST` × `SMALLEST` of them: in VGG7 the fourth convolution's (after
ReLU), in ResNet9 the last residual block's.

Shapes: images N × C × H × W; maps N × K × H′ × W′; heat N × H′ × W′.

Source: Selvaraju et al., *Grad-CAM: visual explanations from deep networks via gradient-based
localization* (ICCV 2017), equations 1 and 2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

SMALLEST = 4  # pixels, of the maps that are looked at


class NoMapsError(ValueError):
    """A network none of whose layers makes maps."""


def grad_cam(network: nn.Module, images: Tensor, classes: Tensor, layer: str | None = None) -> Tensor:
    """Where a network finds what speaks for a class.

    Args:
        network: N × C × H × W to N × classes. It is to be in evaluation mode, so that the images of a
            batch do not depend on each other.
        images: N × C × H × W, normalised.
        classes: of each image the class that is asked about, N.
        layer: whose maps to look at, by its name in the network; None is `last_maps`.

    Returns:
        Lᶜ of each image, N × H′ × W′, 0 or above, as large as the layer's maps.

    Raises:
        NoMapsError: no layer makes maps, or the one named does not.

    Example:
        >>> from ansnet.models import Network
        >>> network = Network("CR(4), M(4), L(3)").eval()
        >>> grad_cam(network, torch.randn(2, 3, 32, 32), torch.tensor([0, 2])).shape
        torch.Size([2, 8, 8])
    """
    looked_at = network.get_submodule(layer or last_maps(network, images[:1]))
    maps: list[Tensor] = []
    hook = looked_at.register_forward_hook(lambda module, inputs, output: maps.append(output))
    try:
        with torch.enable_grad():
            # the gradient flows from the scores to the maps, also where no weight asks for one
            scores = network(images.detach().requires_grad_())
            # an image's score does not depend on the others': of their sum, each has its own gradient
            y = scores.gather(1, classes[:, None]).sum()
    finally:
        hook.remove()
    (A,) = maps
    if A.ndim != 4:
        raise NoMapsError(f"the output of layer {layer} is {list(A.shape)}, and no maps")
    (grad_A,) = torch.autograd.grad(y, A)
    alpha = grad_A.mean((2, 3))  # (1)
    return torch.einsum("nk,nkij->nij", alpha, A.detach()).relu()  # (2)


def last_maps(network: nn.Module, image: Tensor) -> str:
    """The last layer whose maps are `SMALLEST` × `SMALLEST` or larger, by its name in the network.

    Where all are smaller, it is the last one with the largest.

    Args:
        network: any.
        image: 1 × C × H × W.

    Raises:
        NoMapsError: no layer makes maps.
    """
    sides: dict[str, int] = {}  # in the order in which the layers are done

    def noting(name: str) -> Any:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                sides.pop(name, None)
                sides[name] = min(*output.shape[2:], SMALLEST)

        return note

    hooks = [
        module.register_forward_hook(noting(name)) for name, module in network.named_modules() if name
    ]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    if not sides:
        raise NoMapsError(
            "no layer of the network makes maps, so that no place can be told from another"
        )
    largest = max(sides.values())
    return [name for name, side in sides.items() if side == largest][-1]
