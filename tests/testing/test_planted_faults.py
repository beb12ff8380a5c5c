"""Faults that custom Functions really have, each caught by the capability that is there to catch it.

Most pass for sound in a forward and a backward on fresh tensors: that is why they occur.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ansnet.functional import BatchNorm1d, Conv2d, Linear, MaxPool2d, SoftmaxCrossEntropy
from ansnet.functional.conv import bias_gradient, input_gradient, weight_gradient
from ansnet.functional.function import saved
from ansnet.testing import Result, Sample, check
from ansnet.testing.operations import complex_random, random

Function = Callable[..., Any]


class Fault(NamedTuple):
    """What is tried, and the capability that should fail."""

    capability: str
    function: Function
    reference: Function | None
    sample: Sample


FAULTS: dict[str, Fault] = {}


def plant(*capabilities: str, reference: Function | None, sample: Sample) -> Callable[[Any], Any]:
    """Note a faulty function, or the ``apply`` of a faulty Function, under its name."""

    def note(faulty: Any) -> Any:
        function = faulty.apply if isinstance(faulty, type) else faulty
        for capability in capabilities:
            name = f"{faulty.__name__}-{capability}"
            FAULTS[name] = Fault(capability, function, reference, sample)
        return faulty

    return note


def altered(function: type, **rules: Function) -> Function:
    """``apply`` of a Function of which some rules are others."""
    name = f"Altered{function.__name__}"
    return type(name, (function,), {rule: staticmethod(code) for rule, code in rules.items()}).apply


images, filters, bias = random(2, 4, 6, 5), random(4, 2, 3, 2), random(4)
hyperparameters = (2, 1), (1, 0), (1, 2), 2
convolution = Sample(images, filters, bias, *hyperparameters)


def conv2d_with(
    grad_x: Function = input_gradient,
    grad_w: Function = weight_gradient,
    grad_b: Function = bias_gradient,
) -> Function:
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        geometry = ctx.stride, ctx.padding, ctx.dilation, ctx.groups
        return (
            grad_x(grad_z, w.conj(), ctx.image_size, *geometry),
            grad_w(x.conj(), grad_z, ctx.window_size, *geometry),
            grad_b(grad_z) if ctx.needs_input_grad[2] else None,
            *[None] * 4,
        )

    return altered(Conv2d, backward=backward)


@plant("gradients", reference=F.conv2d, sample=convolution)
def output_padding_off_by_one(*arguments: Any) -> Tensor:
    def grad_x(grad_z: Tensor, w: Tensor, image_size: Any, *geometry: Any) -> Tensor:
        shorter = input_gradient(grad_z, w, (image_size[0] - 1, image_size[1]), *geometry)
        return F.pad(shorter, (0, 0, 0, 1))

    return conv2d_with(grad_x)(*arguments)


@plant("gradients", reference=F.conv2d, sample=convolution)
def groups_transposed(*arguments: Any) -> Tensor:
    def grad_w(x: Tensor, grad_z: Tensor, window_size: Any, *geometry: Any) -> Tensor:
        exchanged = x.unflatten(1, (-1, 2)).transpose(1, 2).flatten(1, 2)
        return weight_gradient(exchanged, grad_z, window_size, *geometry)

    return conv2d_with(grad_w=grad_w)(*arguments)


@plant("gradients", reference=F.conv2d, sample=convolution)
def window_cropped_from_above(*arguments: Any) -> Tensor:
    def grad_w(x: Tensor, grad_z: Tensor, window_size: Any, *geometry: Any) -> Tensor:
        larger = weight_gradient(x, grad_z, (window_size[0] + 1, window_size[1]), *geometry)
        return larger[:, :, 1:]

    return conv2d_with(grad_w=grad_w)(*arguments)


@plant(
    "gradients",
    reference=F.conv2d,
    sample=Sample(random(2, 3, 5, 5), random(2, 3, 2, 2), None, (2, 2), (0, 0), (2, 2), 1),
)
def dilation_forgotten(*arguments: Any) -> Tensor:
    def grad_x(
        grad_z: Tensor, w: Tensor, image_size: Any, stride: Any, padding: Any, *_: Any
    ) -> Tensor:
        return input_gradient(grad_z, w, image_size, stride, padding, (1, 1), 1)

    return conv2d_with(grad_x)(*arguments)


@plant("gradients", reference=F.conv2d, sample=convolution)
def bias_gradient_averaged(*arguments: Any) -> Tensor:
    return conv2d_with(grad_b=lambda grad_z: grad_z.mean((0, 2, 3)))(*arguments)


@plant("gradcheck", reference=None, sample=Sample(complex_random(3, 2), complex_random(2, 2), None))
def conjugate_forgotten(*arguments: Any) -> Tensor:
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        return grad_z @ w, grad_z.mT @ x, None

    return altered(Linear, backward=backward)(*arguments)


matrix = Sample(random(5, 3), random(3), random(3), None, None, True, 1e-5)


def batch_norm_with(grad_x: Function) -> Function:
    def backward(ctx: Any, grad_z: Tensor, *statistics: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, mu, v = ctx.saved_tensors
        N, r = len(x), torch.rsqrt(v + ctx.eps)
        x_hat = (x - mu) * r
        grad_gamma, grad_beta = (grad_z * x_hat).sum(0), grad_z.sum(0)
        mean_term, variance_term = grad_beta / N, x_hat * grad_gamma / N
        through = gamma * r, grad_z, mean_term, variance_term
        second = statistics[0] / N, (x - mu) * (2 * statistics[1] / N)
        return grad_x(through, second), grad_gamma, grad_beta, *[None] * 4

    return lambda *arguments: altered(BatchNorm1d, backward=backward)(*arguments)[0]


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, *_: Any) -> Tensor:
    return F.batch_norm(x, None, None, gamma, beta, training=True)


@plant("gradcheck", reference=batch_norm, sample=matrix)
def mean_taken_for_a_constant(*arguments: Any) -> Tensor:
    def grad_x(through: Any, second: Any) -> Tensor:
        scale, grad_z, _, variance_term = through
        return scale * (grad_z - variance_term) + sum(second)

    return batch_norm_with(grad_x)(*arguments)


@plant("gradcheck", reference=batch_norm, sample=matrix)
def variance_taken_for_a_constant(*arguments: Any) -> Tensor:
    def grad_x(through: Any, second: Any) -> Tensor:
        scale, grad_z, mean_term, _ = through
        return scale * (grad_z - mean_term) + sum(second)

    return batch_norm_with(grad_x)(*arguments)


@plant("gradgradcheck", reference=batch_norm, sample=matrix)
def statistics_without_second_derivative(*arguments: Any) -> Tensor:
    def grad_x(through: Any, second: Any) -> Tensor:
        scale, grad_z, mean_term, variance_term = through
        return scale * (grad_z - mean_term - variance_term)

    return batch_norm_with(grad_x)(*arguments)


matrix_and_running = Sample(random(5, 3), random(3).detach(), random(3).detach().square())


def batch_norm_of_running(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    return F.batch_norm(x, mean, variance, training=True)


@plant("forward", reference=batch_norm_of_running, sample=matrix_and_running)
def running_variance_biased(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    v, mu = torch.var_mean(x, 0, correction=0)
    mean.lerp_(mu.detach(), 0.1)
    variance.lerp_(v.detach(), 0.1)
    return (x - mu) * torch.rsqrt(v + 1e-5)


@plant("gradcheck", reference=None, sample=Sample(random(4, 3), torch.tensor([0, 2, 1, 2])))
def mean_forgotten(x: Tensor, target: Tensor) -> Tensor:
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, None, None, None]:
        x, target, _ = saved(ctx, ctx.for_backward)
        return grad_z * (x.softmax(1) - F.one_hot(target, x.shape[1])), None, None, None

    return altered(SoftmaxCrossEntropy, backward=backward)(x, target, None, (-100, "mean", 0.0))


@plant("gradients", reference=F.max_pool2d, sample=Sample(torch.ones(1, 1, 4, 4).requires_grad_(), 2))
def ties_all_where_one_is_meant(x: Tensor, window_size: int) -> Tensor:
    return MaxPool2d.apply(x, (window_size, window_size))


class Cube(torch.autograd.Function):
    """x³, sound in itself; each fault below replaces one of its rules."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_z

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * tangent


def cube(x: Tensor) -> Tensor:
    return x**3


numbers = Sample(random(3, 2))
plant_cube = {"reference": cube, "sample": numbers}


@plant("gradgradcheck", "saved tensors freed", "saved tensor hooks", **plant_cube)
class IntermediateOnCtx(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.square = x**2
        return x * ctx.square

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return 3 * ctx.square * grad_z


@plant("gradgradcheck", **plant_cube)
class IntermediateSaved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        square = x**2
        ctx.save_for_backward(square)  # neither an input nor an output: no graph leads from it to x
        return x * square

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (square,) = ctx.saved_tensors
        return 3 * square * grad_z


@plant("saved tensors freed", **plant_cube)
class OutputOnCtx(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.x, ctx.z = x, x**3
        return ctx.z

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return 3 * ctx.x**2 * grad_z


@plant("gradgradcheck", **plant_cube)
class OnceDifferentiable(Cube):
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_z


@plant("gradgradcheck", "hessian", **plant_cube)
class GradientDetached(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x.detach() ** 2 * grad_z


@plant("gradients", **plant_cube)
def output_detached(x: Tensor) -> Tensor:
    return Cube.apply(x).detach()


@plant("forward", **plant_cube)
def rounded_on_the_way(x: Tensor) -> Tensor:
    return Cube.apply(x.float()).double()


@plant("gradient dtypes", **plant_cube)
class GradientInSinglePrecision(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return (3 * x**2 * grad_z).float()


@plant("inputs unchanged", **plant_cube)
class InputOverwritten(Cube):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.data.pow_(3).clone()


@plant("inputs unchanged", **plant_cube)
class OutputGradientOverwritten(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad_z.mul_(3 * x**2)


@plant("inputs unchanged", **plant_cube)
class InputOverwrittenInBackward(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return x.detach().pow_(2) * 3 * grad_z


@plant("forward mode", **plant_cube)
class TangentOfAnotherFunction(Cube):
    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x**2 * tangent


@plant("forward mode", "jacobian", "hessian", **plant_cube)
class NoTangent(Cube):
    jvp = torch.autograd.Function.jvp


@plant("vmap", "per sample gradients", **plant_cube)
class NoVmap(Cube):
    generate_vmap_rule = False


@plant("vmap", **plant_cube)
class VmapThatForgetsTheAxis(Cube):
    generate_vmap_rule = False

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], x: Tensor) -> tuple[Tensor, int]:
        return VmapThatForgetsTheAxis.apply(x), 0  # for an axis that is in_dims[0]


@plant("compile", "export", "fake tensors", "vmap", **plant_cube)
def branch_on_a_value(x: Tensor) -> Tensor:
    return Cube.apply(x) if x.sum() > 0 else Cube.apply(-x).neg()


@plant("meta", "fake tensors", "export", "negative views", **plant_cube)
class ThroughNumpy(Cube):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.from_numpy(x.detach().numpy() ** 3)


@plant("compile", **plant_cube)
def tangent_that_the_compiler_refuses(x: Tensor) -> Tensor:
    return Cube.apply(x)  # `ansnet.functional.function.compilable` is there for this


@plant("strided views", "expanded views", **plant_cube)
class StridesTakenForGranted(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return (3 * x.reshape(-1) ** 2 * grad_z.view(-1)).view(x.shape)


@plant("strided views", "expanded views", **plant_cube)
class MemoryReadAsIfContiguous(Cube):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.as_strided(x.shape, torch.empty(x.shape).stride()) ** 3


picture = Sample(random(2, 3, 4, 2))


@plant("channels last", reference=cube, sample=picture)
class ChannelsLastLost(Cube):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.contiguous() ** 3


def mean_of_rows(x: Tensor) -> Tensor:
    return x.sum(0) if len(x) == 0 else x.mean(0)


@plant("zero size batch", reference=mean_of_rows, sample=numbers)
def mean_of_no_rows(x: Tensor) -> Tensor:
    return x.sum(0) / len(x)


@plant("needless work", reference=F.linear, sample=Sample(random(4, 3), random(2, 3), random(2)))
def all_gradients_always(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, ...]:
        x, w, _ = ctx.saved_tensors
        return grad_z @ w, grad_z.T @ x, grad_z.sum(0)

    return altered(Linear, setup_context=setup_context, backward=backward)(x, w, b)


@plant("subsets of gradients", reference=F.linear, sample=Sample(random(4, 3), random(3, 3)))
def gradients_in_the_order_of_need(x: Tensor, w: Tensor) -> Tensor:
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        grads = [grad_z @ w] if x is None or w is not None else []
        grads += [grad_z.T @ x] if x is not None else []
        return *grads, *[None] * (3 - len(grads))

    return altered(Linear, backward=backward)(x, w, None)


@plant("subsets of gradients", "without gradients", **plant_cube)
def requires_grad_set_by_hand(x: Tensor) -> Tensor:
    z = Cube.apply(x)
    return z if z.requires_grad else z.detach().clone().requires_grad_()


kept: list[Tensor] = []


@plant("no memory growth", "saved tensors freed", **plant_cube)
def everything_kept(x: Tensor) -> Tensor:
    z = Cube.apply(x)
    kept.append(z)
    return z


let_go = [[[0] for _ in range(10)] for _ in range(2_000)]


@plant("no memory growth", **plant_cube)
def kept_while_others_go(x: Tensor) -> Tensor:
    let_go.pop()
    return everything_kept(x)


@plant("deterministic", **plant_cube)
def noise(x: Tensor) -> Tensor:
    return Cube.apply(x) + torch.rand_like(x)


calls = itertools.count()


@plant("checkpoint", "deterministic", **plant_cube)
def other_at_every_second_call(x: Tensor) -> Tensor:
    return Cube.apply(x) * (1 + next(calls) % 2)


@plant(
    "autocast bfloat16",
    "autocast float16",
    reference=F.linear,
    sample=Sample(random(4, 3), random(2, 3)),
)
def autocast_ignored(x: Tensor, w: Tensor) -> Tensor:
    return (
        Linear.apply(x.float(), w.float(), None)
        if x.dtype != torch.float64
        else Linear.apply(x, w, None)
    )


def softmax(x: Tensor) -> Tensor:
    return x.softmax(-1)


@plant("autocast bfloat16", reference=softmax, sample=Sample(random(3, 5)))
def softmax_in_low_precision(x: Tensor) -> Tensor:
    if not torch.is_autocast_enabled("cpu"):
        return x.softmax(-1)
    e = x.bfloat16().exp()
    return (e / e.sum(-1, keepdim=True)).to(torch.promote_types(x.dtype, torch.float32))


class CannotBePickled(nn.ReLU):
    def __init__(self) -> None:
        super().__init__()
        self.function = lambda x: x


class SharedWhenCopied(nn.Linear):
    def __deepcopy__(self, _: Any) -> nn.Module:
        return self


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, fault in FAULTS.items()])
@pytest.mark.filterwarnings("ignore")  # some faults are warned of; they are to be caught without
def test_is_caught(fault: Fault) -> None:
    report = check(
        fault.function, fault.reference, [fault.sample], only=[fault.capability], backend="eager"
    )
    assert report[fault.capability].result is Result.FAIL, str(report)
    detail = report[fault.capability].detail
    assert "sample 0" in detail
    if fault.capability in ("forward", "gradients", "gradcheck"):  # caught by its numbers
        assert not re.search(r"\): (?!GradcheckError)\w+Error: ", detail), detail


@pytest.mark.parametrize("module", [CannotBePickled(), SharedWhenCopied(3, 2).double()])
def test_a_faulty_module_is_caught(module: nn.Module) -> None:
    report = check(module, None, [Sample(random(4, 3))], only=["pickle and copy"])
    assert report["pickle and copy"].result is Result.FAIL


def test_there_are_enough() -> None:
    assert len({fault.function for fault in FAULTS.values()}) >= 25


def test_the_sound_function_passes() -> None:
    capabilities = {fault.capability for fault in FAULTS.values()} - {"compile"}
    report = check(Cube.apply, cube, [numbers, picture], only=capabilities)
    assert report.passed, str(report)
