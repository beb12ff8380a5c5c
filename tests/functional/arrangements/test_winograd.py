"""`ansnet.functional.arrangements.winograd`, and how `conv2d` makes use of it."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import grad

from ansnet.functional import conv, conv2d, plain_sums
from ansnet.functional.arrangements import winograd

FORMATS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("size", [(16, 16), (9, 6), (2, 2), (2, 7), (5, 3)])
@pytest.mark.parametrize("padding", [(1, 1), (0, 2), (2, 1)])
@pytest.mark.parametrize("num_images", [1, 3, 150])  # 150: the last group is smaller than the others
def test_it_equals_the_plain_convolution(
    size: tuple[int, int],
    padding: tuple[int, int],
    num_images: int,
    memory_format: torch.memory_format,
) -> None:
    if size[0] + 2 * padding[0] < 3:
        padding = (1, padding[1])
    torch.manual_seed(0)
    x = torch.randn(num_images, 3, *size, dtype=torch.float64).contiguous(memory_format=memory_format)
    w, b = torch.randn(5, 3, 3, 3, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    x.requires_grad_()
    w.requires_grad_()
    z = F.conv2d(x, w, b, padding=padding)
    grad_z = torch.randn_like(z)
    grad_x, grad_w = grad(z, (x, w), grad_z)
    with torch.no_grad():
        ours = winograd.convolve(x, w, b, padding)
        assert ours.is_contiguous(memory_format=memory_format)
        torch.testing.assert_close(ours, z, rtol=0, atol=1e-11)
        ours = winograd.input_gradient(grad_z, w, padding)
        torch.testing.assert_close(ours, grad_x, rtol=0, atol=1e-11)
        ours = winograd.weight_gradient(x, grad_z, padding)
        torch.testing.assert_close(ours, grad_w, rtol=1e-12, atol=1e-11)


def test_an_image_of_more_tiles_than_are_transformed_at_once() -> None:
    x = torch.randn(2, 3, 47, 50, dtype=torch.float64)
    w = torch.randn(5, 3, 3, 3, dtype=torch.float64)
    assert winograd.TILES < 12 * 13
    inputs = x.requires_grad_(), w.requires_grad_()
    z = F.conv2d(x, w, padding=1)
    grad_z = torch.randn_like(z)
    grad_x, grad_w = grad(z, inputs, grad_z)
    with torch.no_grad():
        torch.testing.assert_close(winograd.convolve(x, w, None, (1, 1)), z, rtol=0, atol=1e-11)
        ours = winograd.input_gradient(grad_z, w, (1, 1))
        torch.testing.assert_close(ours, grad_x, rtol=0, atol=1e-11)
        ours = winograd.weight_gradient(x, grad_z, (1, 1))
        torch.testing.assert_close(ours, grad_w, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(
    ("channels", "filters", "size"), [(64, 128, 32), (256, 256, 16), (512, 512, 4)]
)
def test_its_rounding_in_float32(channels: int, filters: int, size: int) -> None:
    torch.manual_seed(0)
    x, w = torch.randn(8, channels, size, size), torch.randn(filters, channels, 3, 3)
    exact = F.conv2d(x.double(), w.double(), padding=1)
    grad_z = torch.randn_like(exact)
    error = (winograd.convolve(x, w, None, (1, 1)) - exact).norm() / exact.norm()
    assert error < 2e-6  # the module says 0.8 to 1.5e-6
    exact = conv.weight_gradient(x.double(), grad_z, (3, 3), (1, 1), (1, 1), (1, 1), 1, plain=True)
    error = (winograd.weight_gradient(x, grad_z.float(), (1, 1)) - exact).norm() / exact.norm()
    assert error < 2e-6


def test_the_bound_of_its_rounding() -> None:
    torch.manual_seed(0)
    x, w = torch.randn(1, 32, 4, 4), torch.randn(8, 32, 3, 3)
    x[0, 3, 0, 0] = 1e6  # a spike, beside which the other results of its tile lose digits
    exact = F.conv2d(x.double(), w.double(), padding=1)
    A, B, G = (matrix.abs() for matrix in winograd.transforms(4, torch.float64))
    tile = F.pad(x, (1, 1, 1, 1))[0].flatten(1).T.double().abs()  # 36 × C
    products = (B @ tile)[:, :, None] * (G @ w.permute(2, 3, 1, 0).reshape(9, -1).double().abs()).view(
        36, 32, 8
    )
    bound = (32 + 64) * 2.0**-24 * (A.T @ products.sum(1)).T.view(1, 8, 4, 4)
    error = (winograd.convolve(x, w, None, (1, 1)) - exact).abs()
    assert (error <= bound).all()
    assert error.max() > bound.max() / 1000  # and it is no empty one


@pytest.mark.parametrize(
    ("images", "channels", "filters", "size", "suits"),
    [
        (2, 256, 128, (32, 16), True),  # 2 · 8 · 4 tiles of 4 × 4
        (2, 128, 256, (32, 16), True),
        (2, 256, 128, (32, 12), False),  # too few of them
        (1, 512, 512, (7, 7), False),
        (2, 255, 255, (32, 16), False),
        (2, 512, 127, (32, 16), False),
        (64, 512, 512, (2, 9), False),
    ],
)
def test_what_repays_the_transforms(
    images: int, channels: int, filters: int, size: tuple[int, int], suits: bool
) -> None:
    x, w = torch.empty(images, channels, *size), torch.empty(filters, channels, 3, 3)
    simple = filters, (1, 1), (1, 1), 1
    assert not winograd.suits(x, w, *simple)  # in contiguous memory none does
    x = x.contiguous(memory_format=torch.channels_last)
    assert winograd.suits(x, w, *simple) == suits
    assert winograd.suits(x.double(), w, *simple) == suits
    assert not winograd.suits(x.bfloat16(), w, *simple)
    assert not winograd.suits(x, torch.empty(filters, channels, 3, 2), *simple)
    for others in [((1, 2), (1, 1), 1), ((1, 1), (2, 1), 1), ((1, 1), (1, 1), 2)]:
        assert not winograd.suits(x, w, filters, *others)


@pytest.mark.parametrize(
    ("channels", "filters", "size", "suits"),
    [
        (64, 64, (12, 9), True),  # 2 · 3 · 3 tiles
        (64, 64, (8, 12), False),  # 2 · 2 · 3
        (63, 64, (16, 16), False),
        (64, 63, (16, 16), False),
        (64, 64, (99, 2), False),
    ],
)
def test_what_repays_the_transforms_of_the_gradient(
    channels: int, filters: int, size: tuple[int, int], suits: bool
) -> None:
    x, grad_z = torch.empty(2, channels, *size), torch.empty(2, filters, *size)
    one = (1, 1)
    assert winograd.suits_weight_gradient(x, grad_z, (3, 3), one, one, 1) == suits
    assert not winograd.suits_weight_gradient(x, grad_z, (3, 2), one, one, 1)
    assert not winograd.suits_weight_gradient(x.bfloat16(), grad_z, (3, 3), one, one, 1)


@pytest.mark.parametrize(
    ("size", "m", "tiles"),
    [((2, 9), 2, (1, 5)), ((3, 3), 4, (1, 1)), ((4, 5), 4, (1, 2)), ((9, 8), 4, (3, 2))],
)
def test_how_an_image_is_cut_into_tiles(size: tuple[int, int], m: int, tiles: tuple[int, int]) -> None:
    cut = winograd.Tiling(torch.empty(300, 1, *size), (1, 1))
    assert (cut.height, cut.width) == size
    assert (cut.m, cut.rows, cut.columns) == (m, *tiles)
    assert max(len(range(300)[group]) for group in cut.groups()) == winograd.TILES // prod(tiles)


@pytest.mark.parametrize("m", [2, 4])
def test_the_transforms_are_those_of_the_points(m: int) -> None:
    """Aᵀ ((B d) ⊙ (G g)) is the tile's convolution; rounding is amplified least by these points."""
    A, B, G = winograd.transforms(m, torch.float64)
    assert winograd.transforms(m, torch.float64)[0] is A  # made once
    n = m + 2
    assert (A.shape, B.shape, G.shape) == ((n * n, m * m), (n * n, n * n), (n * n, 9))
    tile, window = torch.randn(n, n, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)
    ours = A.T @ ((B @ tile.flatten()) * (G @ window.flatten()))
    exact = F.conv2d(tile[None, None], window[None, None]).flatten()
    torch.testing.assert_close(ours, exact, rtol=0, atol=1e-12)
    # by at most so much; 0, ±1, ±2, ∞ would have 2304 in place of 620
    largest = (A.abs().T @ (B.abs().sum(1) * G.abs().sum(1))).max()
    assert largest < {2: 65, 4: 640}[m]


@pytest.mark.parametrize("place", ["x", "w", "z̄"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e37, 3e38])
def test_what_is_not_finite_reaches_what_the_formula_says(place: str, value: float) -> None:
    torch.manual_seed(0)
    x, w, grad_z = torch.randn(4, 256, 16, 16), torch.randn(256, 256, 3, 3), torch.randn(4, 256, 16, 16)
    {"x": x, "w": w, "z̄": grad_z}[place][1, 7, 1, 2] = value
    x, w, grad_z = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, w, grad_z))
    inputs = x.requires_grad_(), w.requires_grad_()
    results = [
        (z, *grad(z, inputs, grad_z)) for z in (conv2d(x, w, padding=1), F.conv2d(x, w, padding=1))
    ]
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours.isnan(), theirs.isnan())
        assert torch.equal(ours.isposinf(), theirs.isposinf())
        assert torch.equal(ours.isneginf(), theirs.isneginf())


def test_plain_sums_are_those_of_the_formulas() -> None:
    torch.manual_seed(0)
    x, w = torch.randn(4, 256, 16, 16), torch.randn(256, 256, 3, 3)
    x, w = (tensor.contiguous(memory_format=torch.channels_last).requires_grad_() for tensor in (x, w))
    with plain_sums():
        z = conv2d(x, w, padding=1)
        torch.testing.assert_close(z, F.conv2d(x, w, padding=1), rtol=0, atol=0)
    grad_z = torch.randn_like(z)
    grad_x, grad_w = grad(z, (x, w), grad_z)  # outside, and plain as their z is
    hyperparameters = (1, 1), (1, 1), (1, 1), 1
    with torch.no_grad():
        plain = conv.input_gradient(grad_z, w, x.shape[2:], *hyperparameters, plain=True)
        assert torch.equal(grad_x, plain)
        plain = conv.weight_gradient(x, grad_z, w.shape[2:], *hyperparameters, plain=True)
        assert torch.equal(grad_w, plain)
    assert not torch.equal(grad_x, winograd.input_gradient(grad_z, w.detach(), (1, 1)))
    assert not torch.equal(conv2d(x, w, padding=1), z)


def test_derivatives_and_transformations_take_the_plain_arrangement() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 64, 16, 16, dtype=torch.float64, requires_grad=True)
    w = (torch.randn(64, 64, 3, 3, dtype=torch.float64) / 24).requires_grad_()  # so that z is about 1

    def second(convolution: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        first = grad(convolution(x, w, padding=1).square().sum(), (x, w), create_graph=True)
        return grad(first[0].square().sum() + first[1].square().sum(), (x, w))

    for ours, theirs in zip(second(conv2d), second(F.conv2d), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)

    def loss(w: Tensor, image: Tensor) -> Tensor:
        return conv2d(image[None], w, padding=1).square().sum()

    each = torch.vmap(torch.func.grad(loss), (None, 0))(w.detach(), x.detach())
    alone = torch.stack([torch.func.grad(loss)(w.detach(), image) for image in x.detach()])
    torch.testing.assert_close(each, alone, rtol=1e-9, atol=1e-9)


def test_the_default_device_is_nothing_to_it() -> None:
    winograd.transforms.cache_clear()
    x = torch.randn(4, 256, 16, 16).contiguous(memory_format=torch.channels_last)
    w = torch.randn(256, 256, 3, 3)
    with torch.device("meta"):
        z = conv2d(x, w, padding=1)
    torch.testing.assert_close(z, F.conv2d(x, w, padding=1), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_bias_of_another_dtype_is_refused_as_by_pytorch(dtype: torch.dtype) -> None:
    x = torch.randn(4, 256, 16, 16).contiguous(memory_format=torch.channels_last)
    with pytest.raises(RuntimeError, match="should be the same"):
        conv2d(x, torch.randn(256, 256, 3, 3), torch.zeros(256, dtype=dtype), padding=1)
