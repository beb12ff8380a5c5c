"""Faults that only one or two capabilities see; those that the battery had before let them pass.

Where a Function has another, sound way for transformations and compilers, the plain one is seldom
looked at more than once; so most of these stay in it: see `in_eager_execution`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional.function import is_transformed
from ansnet.testing import CAPABILITIES, Result, Sample, check
from ansnet.testing.operations import distinct, random
from tests.testing.test_planted_faults import Cube, Fault, Function, cube, numbers, plant_cube

SUBTLE = [
    "gradient through vmap",
    "one tensor in two places",
    "compiled transformations",
    "accuracy",
    "non finite values",
    "gradients of stride 0",
    "strided gradients",
    "second derivative of empty batches",
    "saved tensors guarded",
    "backward twice",
    "uses its arguments",
    "finite far away",
]
FAULTS: dict[str, Fault] = {}


def plant(
    *capabilities: str,
    reference: Function,
    sample: Sample,
    apply: Callable[[Any, Function], Function] | None = None,
) -> Callable[[Any], Any]:
    """Note a faulty function, or what ``apply`` makes of a faulty Function, under its name."""

    def note(faulty: Any) -> Any:
        function = apply(faulty, reference) if apply else faulty
        for capability in capabilities:
            name = f"{faulty.__name__}-{capability}"
            FAULTS[name] = Fault(capability, function, reference, sample)
        return faulty

    return note


def in_eager_execution(faulty: Any, sound: Function) -> Function:
    """The faulty Function, but under transformations and compilers the sound function."""
    return lambda *arguments: (sound if is_transformed() else faulty.apply)(*arguments)


def with_a_twin(faulty: Any, _: Function) -> Function:
    """The faulty Function, but in a compiler's trace one without ``jvp``, which the tracer refuses."""
    twin = type(faulty.__name__, (faulty,), {"jvp": torch.autograd.Function.jvp})
    return lambda *arguments: (twin if torch.compiler.is_dynamo_compiling() else faulty).apply(
        *arguments
    )


def rounded_straight_through(x: Tensor) -> Tensor:
    return x + (x.round() - x).detach()


@plant(
    "compiled transformations", reference=rounded_straight_through, sample=numbers, apply=with_a_twin
)
class StraightThrough(torch.autograd.Function):
    """Sound, but that the tracer, under a transformation, takes the derivative of ``round``: 0."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return grad_z

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return tangent


def maximum_of_rows(x: Tensor) -> Tensor:
    z = x.amax(1, keepdim=True)
    return (z.detach() + ((x - x.detach()) * (x == z)).sum(1, keepdim=True)).squeeze(1)


@plant(
    "compiled transformations",
    reference=maximum_of_rows,
    sample=Sample(distinct(4, 6)),
    apply=with_a_twin,
)
class TiesToAll(torch.autograd.Function):
    """Sound likewise; the forward's own derivative shares the gradient out among the ties."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.amax(1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)
        ctx.save_for_forward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        x, z = ctx.saved_tensors
        return grad_z[:, None] * (x == z[:, None])

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        x, z = ctx.saved_tensors
        return (tangent * (x == z[:, None])).sum(1)


def xy_squared(x: Tensor, y: Tensor) -> Tensor:
    return x * y**2


two = {
    "reference": xy_squared,
    "sample": Sample(random(3, 2), random(2, 3).mT.detach().requires_grad_()),
}


class Product(torch.autograd.Function):
    """x · y², sound in itself."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, y: Tensor) -> Tensor:
        return x * y**2

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        x, y = inputs
        ctx.dtypes = x.dtype, y.dtype
        ctx.save_for_backward(x, y)
        ctx.save_for_forward(x, y)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return Product.gradients(ctx, grad_z, *ctx.saved_tensors)

    @staticmethod
    def gradients(
        ctx: Any, grad_z: Tensor, x: Tensor | None, y: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        grad_x = (grad_z * y**2).to(ctx.dtypes[0]) if ctx.needs_input_grad[0] else None
        if x is None or not ctx.needs_input_grad[1]:
            return grad_x, None
        return grad_x, (2 * grad_z * x * y).to(ctx.dtypes[1])

    @staticmethod
    def jvp(ctx: Any, tangent_x: Tensor | None, tangent_y: Tensor | None) -> Tensor:
        x, y = ctx.saved_tensors
        zero = torch.zeros_like(x)
        return (zero if tangent_x is None else tangent_x * y**2) + (
            zero if tangent_y is None else 2 * tangent_y * x * y
        )


@plant("gradient through vmap", **two, apply=with_a_twin)
class SavedWhereNeeded(Product):
    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        x, y = inputs
        ctx.dtypes = x.dtype, y.dtype
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, y)
        ctx.save_for_forward(x, y)


@plant("one tensor in two places", **two, apply=in_eager_execution)
class GradientsByTensor(Product):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, y = ctx.saved_tensors
        gradients: dict[int, Tensor | None] = {}
        gradients[id(x)], gradients[id(y)] = Product.gradients(ctx, grad_z, x, y)
        return gradients[id(x)], gradients[id(y)]


@plant("one tensor in two places", **plant_cube, apply=in_eager_execution)
class InputOfTheLastCall(Cube):
    last: ClassVar[Tensor]

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        InputOfTheLastCall.last = x
        return x**3

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * (x if torch.is_grad_enabled() else InputOfTheLastCall.last) ** 2 * grad_z


@plant("saved tensors guarded", **plant_cube, apply=in_eager_execution)
class InputOnCtx(Cube):
    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        (ctx.x,) = inputs
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return 3 * ctx.x**2 * grad_z


@plant(
    "backward twice",
    reference=cube,
    sample=Sample(random(3, 2).float().detach().requires_grad_()),
    apply=in_eager_execution,
)
class WorkspaceUsedUp(Cube):
    """In float32, which numerical differentiation does not try, the square is kept and overwritten."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        (x,) = inputs
        ctx.save_for_backward(x, x.detach() ** 2)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        x, square = ctx.saved_tensors
        if torch.is_grad_enabled() or x.dtype != torch.float32:
            return 3 * x**2 * grad_z
        return square.data.mul_(3).mul_(grad_z)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        x, *_ = ctx.saved_tensors
        return 3 * x**2 * tangent


@plant("gradients of stride 0", "strided gradients", **plant_cube, apply=in_eager_execution)
class StridesOfTheInput(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        if torch.is_grad_enabled() or is_transformed():
            return 3 * x**2 * grad_z
        return 3 * x**2 * grad_z.as_strided(x.shape, x.stride(), grad_z.storage_offset())


@plant("second derivative of empty batches", **plant_cube, apply=in_eager_execution)
class NothingForNothing(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_z if x.numel() else torch.zeros_like(x)


@plant("non finite values", reference=F.relu, sample=numbers)
def relu_as_a_product(x: Tensor) -> Tensor:
    return x * (x > 0)  # -∞ · 0


@plant("non finite values", reference=F.relu, sample=numbers)
def relu_that_swallows_nan(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0)


def normalised(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True)


@plant("accuracy", reference=normalised, sample=Sample(random(5, 3)))
def variance_of_squares(x: Tensor) -> Tensor:
    mean = x.mean(0)
    return (x - mean) * torch.rsqrt((x * x).mean(0) - mean * mean + 1e-5)


@plant("accuracy", reference=lambda x: x.logsumexp(1), sample=numbers)
def maximum_not_subtracted(x: Tensor) -> Tensor:
    return x.exp().sum(1).log()


@plant("accuracy", reference=torch.expm1, sample=numbers)
def digits_lost_near_zero(x: Tensor) -> Tensor:
    return x.exp() - 1


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, fault in FAULTS.items()])
@pytest.mark.filterwarnings("ignore")  # some faults are warned of; they are to be caught without
def test_is_caught(fault: Fault) -> None:
    report = check(
        fault.function, fault.reference, [fault.sample], only=[fault.capability], backend="eager"
    )
    assert report[fault.capability].result is Result.FAIL, str(report)
    assert "sample 0" in report[fault.capability].detail


@pytest.mark.parametrize("name", {fault.function: name for name, fault in FAULTS.items()}.values())
def test_is_missed_by_the_others(name: str) -> None:
    fault = FAULTS[name]
    others = [capability for capability in CAPABILITIES if capability not in SUBTLE]
    report = check(fault.function, fault.reference, [fault.sample], only=others, backend="eager")
    assert report.passed, str(report)


def test_the_sound_functions_pass() -> None:
    report = check(with_a_twin(Cube, cube), cube, [numbers], only=SUBTLE, backend="eager")
    assert report.passed, str(report)
    # the tracer takes no Function with one tensor in two places
    eager = [name for name in SUBTLE if name not in ("compiled transformations", SUBTLE[1])]
    report = check(Product.apply, xy_squared, [two["sample"]], only=eager)
    assert report.passed, str(report)


def test_each_transformation_that_fails_is_named_and_leaves_nothing_behind() -> None:
    def stops_the_tracer(x: Tensor) -> Tensor:
        torch._dynamo.graph_break()
        return x**3

    only = ["compiled transformations"]
    (row,) = check(stops_the_tracer, None, [numbers], only=only, backend="eager").rows
    assert row.result is Result.FAIL
    assert "grad, vjp, jvp, jacrev, jacfwd, hessian, vmap, vmap of grad, grad of grad" in row.detail
    assert torch._C._functorch.get_dynamic_layer_stack_depth() == 0
    assert check(cube, cube, [numbers], only=["jacobian", "hessian", "forward mode"]).passed


def test_a_transformation_that_the_reference_refuses_is_left_out_alone() -> None:
    def counts(x: Tensor, sum_so_far: Tensor) -> Tensor:
        sum_so_far += x.detach().sum()  # refused by vmap: memory of one, numbers of many
        return x**3

    sample = Sample(random(3, 2), torch.zeros((), dtype=torch.float64))
    only = ["compiled transformations"]
    (row,) = check(counts, counts, [sample], only=only, backend="eager").rows
    assert row.result is Result.PASS
    assert "the reference cannot either: vmap, vmap of grad; vmap: RuntimeError" in row.detail
