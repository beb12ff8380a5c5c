"""`ansnet.models.grad_cam`: the paper's equations, by other means."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ansnet.models import VGG7, Network, ResNet9, torch_twin
from ansnet.models.grad_cam import NoMapsError, grad_cam, last_maps


def test_with_mean_pooling_and_one_linear_layer_it_is_cam() -> None:
    """There ``∂yᶜ/∂Aₖᵢⱼ = wₖᶜ/(H·W)``, and Grad-CAM is CAM but for that factor (section 3.1)."""
    conv, linear = nn.Conv2d(3, 5, 3).double(), nn.Linear(5, 4).double()
    network = nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    images, classes = torch.randn(6, 3, 9, 11).double(), torch.tensor([0, 1, 2, 3, 0, 1])
    A = conv(images)
    cam = torch.einsum("nk,nkij->nij", linear.weight[classes], A) / (7 * 9)
    found = grad_cam(network, images, classes)
    assert found.shape == (6, 7, 9)
    torch.testing.assert_close(found, cam.relu())
    assert (found > 0).any()


def by_finite_differences(network: Network, images: Tensor, classes: Tensor, layers: int) -> Tensor:
    """Equations 1 and 2, the derivative that of the scores by each map as a whole."""
    head, step = network[layers:], 1e-6
    A = network[:layers](images)
    N, K, H, W = A.shape
    n = torch.arange(N)
    alpha = torch.empty(N, K, dtype=A.dtype)
    for k in range(K):
        change = torch.zeros_like(A)
        change[:, k] = step
        rise = (head(A + change) - head(A - change))[n, classes] / (2 * step)
        alpha[:, k] = rise / (H * W)  # the sum of the derivatives by each place
    return (alpha[:, :, None, None] * A).sum(1).relu()


def test_it_is_the_papers_equations() -> None:
    network = Network("CNR(4), M(4), CNR(6), M(2), LR(8), L(3)").double().eval()
    images, classes = torch.randn(5, 3, 32, 32).double(), torch.tensor([0, 1, 2, 2, 0])
    name = last_maps(network, images[:1])
    assert name == "pool2"  # 4×4, after which the image is flattened
    layers = list(dict(network.named_children())).index(name) + 1
    with torch.no_grad():
        expected = by_finite_differences(network, images, classes, layers)
    found = grad_cam(network, images, classes)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
    assert (found > 0).any()


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (VGG7(), "relu4"),
        (ResNet9(), "residual2"),
        (Network("CR(4), M(8), L(10)"), "pool1"),
        (Network("CR(4), M(16), L(10)"), "relu1"),
        (Network("M(16), L(10)"), "pool1"),  # 2×2: the largest that there are
        (Network("M(32), L(10)"), "pool1"),
    ],
)
def test_the_maps_are_the_last_ones_that_tell_places_apart(network: Network, name: str) -> None:
    assert last_maps(network.eval(), torch.randn(1, 3, 32, 32)) == name


def test_a_layer_may_be_named() -> None:
    network = Network("CR(4), M(2), CR(4), M(4), L(3)").eval()
    images, classes = torch.randn(2, 3, 32, 32), torch.tensor([0, 1])
    assert grad_cam(network, images, classes, "relu1").shape == (2, 32, 32)
    with pytest.raises(NoMapsError, match=r"the output of layer linear1 is \[2, 3\], and no maps"):
        grad_cam(network, images, classes, "linear1")


def test_a_network_without_maps_is_refused() -> None:
    with pytest.raises(NoMapsError, match="no layer of the network makes maps"):
        grad_cam(Network("LR(4), L(3)").eval(), torch.randn(1, 3, 32, 32), torch.tensor([0]))


def test_an_image_has_the_same_heat_alone() -> None:
    network = Network("CNR(4), M(4), CNR(4), M(2), L(3)").eval()
    images, classes = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 1])
    together = grad_cam(network, images, classes)
    for i in range(4):
        alone = grad_cam(network, images[i : i + 1], classes[i : i + 1])
        torch.testing.assert_close(alone, together[i : i + 1])


def test_the_twin_of_torch_has_the_same_heat() -> None:
    network = Network("CNR(4), M(4), res(CNR(4)), L(3)").double().eval()
    images, classes = torch.randn(3, 3, 32, 32).double(), torch.tensor([0, 1, 2])
    twin = torch_twin(network)
    torch.testing.assert_close(grad_cam(network, images, classes), grad_cam(twin, images, classes))


def test_it_leaves_no_traces() -> None:
    network = Network("CNR(4), M(4), L(3)").eval().requires_grad_(False)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        heat = grad_cam(network, images, torch.tensor([0, 1]))
    assert not heat.requires_grad
    assert not images.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks for module in network.modules())
