"""Batch normalisation by all processes: the formula against one process that has the whole batch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from ansnet.functional import batch_norm1d, batch_norm2d, sync_batch_norm
from ansnet.functional.synchronized import SyncBatchNorm, by_all_processes
from ansnet.modules import BatchNorm2d, Conv2d, ReLU, synchronized
from ansnet.modules import Sequence as Layers
from ansnet.testing import check
from ansnet.testing.operations import batch_norm_reference, batch_norm_samples

PATIENCE = 120  # seconds, in which both processes have imported torch on a busy machine
SHARES = [(3, 2), (4, 0), (1, 5), (1, 1)]  # images of the one process, and of the other
SHAPES = [(3,), (3, 4), (3, 2, 2)]  # of an image of three channels
# without what needs vmap, or a graph of the whole
ALONE = [
    "forward",
    "gradients",
    "gradgradcheck",
    "forward mode",
    "subsets of gradients",
    "gradient dtypes",
    "autocast bfloat16",
    "accuracy",
    "channels last",
    "strided views",
    "zero size batch",
    "second derivative of empty batches",
    "inputs unchanged",
    "needless work",
    "saved tensors freed",
    "backward twice",
]


@pytest.fixture
def group_of_one() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group_of_one")
def test_the_formula_of_a_single_process_is_batch_normalisations() -> None:
    def through_the_group(
        input: Tensor,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        running_mean: Tensor | None = None,
        running_var: Tensor | None = None,
        training: bool = True,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        running = running_mean, running_var
        z: Tensor = by_all_processes(input, weight, bias, *running, training, momentum, eps, None)
        return z

    samples = [*batch_norm_samples(4, 3, 2, 3), *batch_norm_samples(5, 3)]
    training = [sample for sample in samples if sample.kwargs.get("training")]
    report = check(through_the_group, batch_norm_reference, training, only=ALONE)
    assert report.passed, str(report)


@pytest.mark.usefixtures("group_of_one")
@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2), (4, 3, 2, 2), (2, 3, 2, 2, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_one_process_computes_what_batch_normalisation_does(
    shape: tuple[int, ...], training: bool
) -> None:
    x, averages = torch.randn(shape), [torch.zeros(3), torch.ones(3)]
    expected = nn.functional.batch_norm(x, *(each.clone() for each in averages), training=training)
    torch.testing.assert_close(sync_batch_norm(x, None, None, *averages, training), expected)


def test_wrong_arguments_are_refused_as_by_batch_normalisation() -> None:
    with pytest.raises(ValueError, match=r"expects an input of shape \(N, C\)"):
        sync_batch_norm(torch.zeros(3), training=True)
    with pytest.raises(RuntimeError, match=r"needs a weight of shape \(3,\)"):
        sync_batch_norm(torch.zeros(2, 3), torch.ones(2), training=True)


def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    spawned = torch.multiprocessing.spawn(compare, (str(tmp_path / "store"),), 2, join=False)
    end = monotonic() + PATIENCE
    while not spawned.join(timeout=5):  # raises what a process has
        if monotonic() > end:
            for process in spawned.processes:
                process.kill()
            pytest.fail("the processes wait for each other")


def compare(rank: int, store: str) -> None:
    """What each of the two processes does."""
    torch.set_num_threads(1)
    options = {"rank": rank, "world_size": 2, "timeout": timedelta(seconds=PATIENCE)}
    dist.init_process_group("gloo", init_method=f"file://{store}", **options)
    for shares in SHARES:
        for shape in SHAPES:
            compare_all(rank, shares, shape)
    compare_half_precision(rank)
    compare_layers(rank)
    with pytest.raises(ValueError, match="got 1 from all processes together"):
        sync_batch_norm(torch.randn(1 - rank, 3), training=True)
    average = torch.zeros(3)
    empty = sync_batch_norm(torch.randn(0, 3), None, None, average, torch.ones(3), training=True)
    assert empty.shape == (0, 3)
    assert torch.equal(average, torch.zeros(3))
    dist.destroy_process_group()


def compare_all(rank: int, shares: tuple[int, int], shape: tuple[int, ...]) -> None:
    """Output, gradients, second derivatives and running averages, in float64."""
    torch.manual_seed(1)
    x = torch.randn(sum(shares), *shape, dtype=torch.float64) * 3 + 1
    grad, direction = torch.randn_like(x), torch.randn_like(x)
    own = slice(0, shares[0]) if rank == 0 else slice(shares[0], None)
    function = batch_norm1d if len(shape) < 3 else batch_norm2d
    expected = derivatives(function, x, grad, direction)
    found = derivatives(sync_batch_norm, x[own], grad[own], direction[own])
    for name in ("z", "grad_x", "second by x", "second by grad"):
        torch.testing.assert_close(found[name], expected[name][own], rtol=1e-10, atol=1e-12)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(found[name], expected[name], rtol=1e-12, atol=1e-12)
    for name in ("grad_weight", "grad_bias", "second by weight"):  # each process's own: their sum
        total = found[name].detach().clone()
        dist.all_reduce(total)
        torch.testing.assert_close(total, expected[name].detach(), rtol=1e-10, atol=1e-12)


def derivatives(function: object, x: Tensor, grad: Tensor, direction: Tensor) -> dict[str, Tensor]:
    assert callable(function)
    float64 = {"dtype": torch.float64}
    x, grad = x.clone().requires_grad_(), grad.clone().requires_grad_()
    weight = torch.tensor([0.5, 2.0, -1.0], **float64, requires_grad=True)  # type: ignore[arg-type]
    bias = torch.tensor([0.1, 0.2, 0.3], **float64, requires_grad=True)  # type: ignore[arg-type]
    averages = torch.zeros(3, **float64), torch.ones(3, **float64)  # type: ignore[call-overload]
    z = function(x, weight, bias, *averages, True, 0.3)
    grads = torch.autograd.grad(z, (x, weight, bias), grad, create_graph=True)
    used_twice = (grads[0] * direction).sum() + (grads[0].square() * direction).sum()
    seconds = torch.autograd.grad(used_twice, (x, weight, grad))
    names = ("z", "grad_x", "grad_weight", "grad_bias", "second by x", "second by weight")
    values = (z, *grads, *seconds, *averages)
    return dict(zip((*names, "second by grad", "running_mean", "running_var"), values, strict=True))


def compare_half_precision(rank: int) -> None:
    """Sums in float32 at least: of 2 × 10,000 numbers near 100, bfloat16 would lose all."""
    torch.manual_seed(2)
    x = (100 + torch.randn(2, 1, 100, 100)).bfloat16()
    z = sync_batch_norm(x[rank : rank + 1], training=True)
    assert z.dtype == torch.bfloat16
    expected = batch_norm2d(x.float(), training=True)[rank : rank + 1]
    torch.testing.assert_close(z.float(), expected, rtol=0.01, atol=0.01)


def compare_layers(rank: int) -> None:
    """A converted network, whose parameters' gradients are averaged as by DistributedDataParallel."""
    torch.manual_seed(3)
    network = Layers(Conv2d(2, 3, 3), BatchNorm2d(3), ReLU()).double()
    of_all = synchronized(network)
    x, grad = torch.randn(4, 2, 5, 5).double(), torch.randn(4, 3, 3, 3).double()
    network(x).backward(grad)
    trained = nn.parallel.DistributedDataParallel(of_all)
    trained(x[2 * rank : 2 * rank + 2]).backward(2 * grad[2 * rank : 2 * rank + 2])
    for own, expected in zip(of_all.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(own.grad, expected.grad)
    for own, expected in zip(of_all.buffers(), network.buffers(), strict=True):
        torch.testing.assert_close(own, expected)
    assert SyncBatchNorm.__name__ in type(of_all[1](torch.randn(2, 3, 2, 2).double()).grad_fn).__name__
