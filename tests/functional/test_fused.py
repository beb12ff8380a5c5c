"""`ansnet.functional.fused` and `relu_max_pool2d`: equal to the operations one after the other."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad, grad, gradcheck, gradgradcheck

from ansnet.functional import batch_norm2d, batch_norm_relu2d, max_pool2d, relu, relu_max_pool2d
from ansnet.testing.operations import distinct

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own, of forward mode and compilation

SHAPES = [(4, 3, 6, 6), (2, 5, 7, 5), (1, 2, 2, 3), (3, 1, 16, 17)]
WINDOWS = [None, 2, (1, 2), (2, 1)]
FORMATS = [torch.contiguous_format, torch.channels_last]


def parameters(channels: int) -> tuple[Tensor, Tensor]:
    """γ of both signs, and β."""
    gamma = torch.linspace(-1.5, 2, channels, dtype=torch.float64).requires_grad_()
    return gamma, torch.linspace(-1, 0.5, channels, dtype=torch.float64).requires_grad_()


def plain(window: int | tuple[int, int] | None) -> Callable[..., Tensor]:
    def one_by_one(x: Tensor, *arguments: object, **options: object) -> Tensor:
        y = relu(batch_norm2d(x, *arguments, **options))
        return y if window is None else max_pool2d(y, window, ties="first")

    return one_by_one


def fused(window: int | tuple[int, int] | None) -> Callable[..., Tensor]:
    def at_once(x: Tensor, *arguments: object, **options: object) -> Tensor:
        return batch_norm_relu2d(x, *arguments, **options, window_size=window)

    return at_once


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("shape", SHAPES)
def test_it_equals_the_operations_one_by_one(
    shape: tuple[int, int, int, int],
    window: int | tuple[int, int] | None,
    training: bool,
    memory_format: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    x = distinct(*shape).contiguous(memory_format=memory_format).requires_grad_()
    gamma, beta = parameters(shape[1])
    results = []
    for function in (fused(window), plain(window)):
        mean, var = (torch.linspace(0.5, 2, shape[1], dtype=torch.float64) for _ in "mv")
        z = function(x, gamma, beta, mean, var, training, momentum=0.3)
        assert z.is_contiguous(memory_format=memory_format)
        torch.manual_seed(1)
        grads = grad(z, (x, gamma, beta), torch.randn_like(z))
        assert grads[0].is_contiguous(memory_format=memory_format)
        results.append((z, *grads, mean, var))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("window", [None, 2])
def test_without_parameters_or_averages(window: int | None) -> None:
    x = distinct(3, 2, 4, 4).requires_grad_()
    ours, theirs = (f(window)(x, training=True) for f in (fused, plain))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(grad(ours.sum(), x), grad(theirs.sum(), x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("window", [None, 2])
def test_derivatives_of_both_orders(window: int | None) -> None:
    torch.manual_seed(0)
    x = distinct(3, 2, 4, 5).requires_grad_()
    inputs = x, *parameters(2)

    def function(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return batch_norm_relu2d(x, gamma, beta, training=True, window_size=window)

    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


@pytest.mark.parametrize("window", [None, 2])
def test_transformations_get_the_operations_one_by_one(window: int | None) -> None:
    torch.manual_seed(0)
    x, (gamma, beta) = distinct(2, 3, 4, 4), parameters(3)
    gamma, beta = gamma.detach(), beta.detach()
    tangent = torch.randn_like(x)
    results = []
    many = torch.randn(5, *x.shape, dtype=x.dtype)
    for function in (fused(window), plain(window)):

        def of_images(x: Tensor, function: Callable[..., Tensor] = function) -> Tensor:
            return function(x, gamma, beta, training=True)

        results.append(
            (torch.func.jvp(of_images, (x,), (tangent,)), torch.vmap(of_images)(many), of_images)
        )
    (ours, our_batch, of_images), (theirs, their_batch, _) = results
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(our_batch, their_batch)
    with forward_ad.dual_level():
        z = of_images(forward_ad.make_dual(x, tangent))
        torch.testing.assert_close(forward_ad.unpack_dual(z).tangent, theirs[1])
    compiled = torch.compile(of_images, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), theirs[0])


def test_what_is_kept_for_the_backward() -> None:
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    x = torch.randn(4, 8, 16, 16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        z = relu_max_pool2d(x, 2)
        assert sum(tensor.nbytes for tensor in kept) == z.numel()  # a byte for each maximum
        kept.clear()
        batch_norm_relu2d(x, training=True, window_size=2)
        assert sum(tensor.nbytes for tensor in kept) == x.nbytes + z.numel() + 2 * 8 * 4  # and μ, v


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("window", [1, 2, 3, (2, 3), 17])
def test_relu_and_pooling_commute(
    window: int | tuple[int, int], memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    # few values, so that many tie, and more zeros than others
    x = torch.randint(-2, 3, (3, 2, 17, 18), dtype=torch.float64)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    z, reference = relu_max_pool2d(x, window), max_pool2d(relu(x), window, ties="first")
    assert torch.equal(z, reference)
    grad_z = torch.randn_like(z)
    (ours,), (theirs,) = grad(z, x, grad_z), grad(reference, x, grad_z)
    # where all of a window is 0 or less, ReLU's derivative is 0, whichever element pooling chooses
    assert torch.equal(ours, theirs)
    assert ours.is_contiguous(memory_format=memory_format)


def test_bad_arguments_are_refused_as_by_the_operations() -> None:
    x = torch.randn(2, 3, 4, 4)
    with pytest.raises(RuntimeError, match="window, 5 x 5, is larger than the image"):
        batch_norm_relu2d(x, training=True, window_size=5)
    with pytest.raises(RuntimeError, match="larger than the image"):
        relu_max_pool2d(x, (5, 1))
    with pytest.raises(RuntimeError, match=r"needs a weight of shape \(3,\), got \(2,\)"):
        batch_norm_relu2d(x, torch.ones(2), training=True)
    with pytest.raises(RuntimeError, match="running_mean and running_var when not training"):
        batch_norm_relu2d(x)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("window", [None, 2])
@pytest.mark.parametrize("wanted", list(product([False, True], repeat=3))[1:], ids=str)
def test_the_gradients_that_are_asked_for(
    wanted: tuple[bool, bool, bool], window: int | None, memory_format: torch.memory_format
) -> None:
    x = distinct(3, 2, 4, 5).detach().contiguous(memory_format=memory_format)
    inputs = x, *(tensor.detach() for tensor in parameters(2))
    for tensor, needed in zip(inputs, wanted, strict=True):
        tensor.requires_grad_(needed)
    asked = [tensor for tensor in inputs if tensor.requires_grad]
    ours, theirs = (f(window)(*inputs, training=True) for f in (fused, plain))
    grad_z = torch.randn_like(ours)
    for one, other in zip(grad(ours, asked, grad_z), grad(theirs, asked, grad_z), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)
    fused(window)(*inputs, training=True).sum().backward()
    assert tuple(tensor.grad is not None for tensor in inputs) == wanted
