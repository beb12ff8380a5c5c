"""Each cause is recognised where its fault is planted, and what is told to mend it mends it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from ansnet.testing import Sample, check
from ansnet.testing.causes import Severity
from ansnet.testing.report import Report

HERE = "tests/testing/test_recognition.py"


def random(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


class Planted(NamedTuple):
    """A fault, the rows that find it, how its cause is told, and the Function mended so."""

    rows: tuple[str, ...]
    function: Any
    reference: Callable[..., Any] | None
    sample: Sample
    key: str
    severity: Severity
    sentence: str
    code: str
    mended: Any


PLANTED: list[Planted] = []


def cube(x: Tensor) -> Tensor:
    return x**3


numbers = Sample(random(3, 2))


def plant(
    *rows: str,
    key: str,
    severity: Severity,
    sentence: str,
    code: str,
    reference: Callable[..., Any] | None = cube,
    sample: Sample = numbers,
    mended: Any = None,
) -> Callable[[Any], Any]:
    """Note a fault. Without ``mended``, the harness itself has to have seen the row pass, mended."""

    def note(function: Any) -> Any:
        PLANTED.append(
            Planted(rows, function, reference, sample, key, severity, sentence, code, mended)
        )
        return function

    return note


class Cube(torch.autograd.Function):
    """x³, sound but for forward mode, which compilers refuse; each fault below replaces a rule."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_z


class CubeWithTangent(Cube):
    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * tangent


@plant(
    "jacobian",
    "hessian",
    "vmap",
    "per sample gradients",
    "gradient through vmap",
    key="no setup_context",
    severity=Severity.RAISES,
    sentence="OldStyle has no setup_context, without which torch.func takes no Function.",
    code="def setup_context(ctx, inputs, output): …  # what forward did with ctx; (x,) = inputs",
    mended=CubeWithTangent,
)
class OldStyle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_z


@plant(
    "forward mode",
    "jacobian",
    "hessian",
    key="no jvp",
    severity=Severity.RAISES,
    sentence="NoTangent has no jvp, the derivative in forward mode.",
    code="ctx.save_for_forward(x)  # in setup_context, what the jvp needs",
    mended=CubeWithTangent,
)
class NoTangent(Cube):
    pass


@plant(
    "vmap",
    "per sample gradients",
    key="no vmap rule",
    severity=Severity.RAISES,
    sentence="NoVmap has no rule for vmap.",
    code="generate_vmap_rule = True  # in the body of NoVmap",
)
class NoVmap(Cube):
    generate_vmap_rule = False


class LoopForVmap(Cube):
    generate_vmap_rule = False

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x**3 if x.sum().item() < 1e9 else x

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], x: Tensor) -> tuple[Tensor, int]:
        (dim,) = in_dims
        return torch.stack([LoopForVmap.apply(one) for one in x.unbind(dim)]), 0


@plant(
    "vmap",
    key="no vmap rule",
    severity=Severity.RAISES,
    sentence="NoVmapNorTensors has no rule for vmap.",
    code="def vmap(info, in_dims, *arguments): …  # returns the output, and its axis",
    mended=LoopForVmap,
)
class NoVmapNorTensors(LoopForVmap):
    vmap = torch.autograd.Function.vmap


@plant(
    "vmap",
    key="wrong vmap rule",
    severity=Severity.WRONG,
    sentence="The vmap of AxisForgotten does not do what a loop does; PyTorch's own does.",
    code="generate_vmap_rule = True  # in AxisForgotten, in the place of its vmap",
)
class AxisForgotten(Cube):
    generate_vmap_rule = False

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], x: Tensor) -> tuple[Tensor, int]:
        return AxisForgotten.apply(x), 0


@plant(
    "gradients",
    "gradcheck",
    "deterministic",
    key="number of gradients",
    severity=Severity.RAISES,
    sentence="The backward returns 2 gradients, the forward takes 1 arguments.",
    code="return grad_x  # one for each argument of forward, None where there is none",
    mended=Cube,
)
class OneGradientTooMany(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_z, grad_z


@plant(
    "compile",
    "compile dynamic shapes",
    key="compiler refuses jvp",
    severity=Severity.RAISES,
    sentence="torch.compile traces no Function with a jvp; TangentRefused has one.",
    code='Traced = type("Traced", (TangentRefused,), {"jvp": torch.autograd.Function.jvp})',
)
class TangentRefused(CubeWithTangent):
    pass


@plant(
    "strided gradients",
    key="view",
    severity=Severity.RAISES,
    sentence="The backward views a tensor that is not contiguous; reshape copies it.",
    code="flat = 3 * x.reshape(-1) ** 2 * grad_z.reshape(-1)",
)
class ViewOfTheGradient(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        flat = 3 * x.reshape(-1) ** 2 * grad_z.view(-1)
        return flat.view(x.shape)


@plant(
    "compile",
    "meta",
    "fake tensors",
    "vmap",
    key="value",
    severity=Severity.RAISES,
    sentence="What is computed depends on a number in a tensor, which a tracer does not know: "
    "“if x.sum().item() > 1e9:”.",
    code="torch.where(condition, a, b)  # in the place of: a if condition else b",
    mended=Cube,
)
class BranchOnAValue(Cube):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        if x.sum().item() > 1e9:
            return x
        return x**3


@plant(
    "meta",
    "fake tensors",
    "negative views",
    key="numpy",
    severity=Severity.RAISES,
    sentence="NumPy is given a tensor's memory, which is not there, or not as it says: "
    "“return torch.from_numpy(x.detach().numpy() ** 3)”.",
    code="the same in PyTorch's operations: np.exp(x.numpy()) is torch.exp(x)",
    mended=Cube,
)
class ThroughNumpy(Cube):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.from_numpy(x.detach().numpy() ** 3)


@plant(
    "gradgradcheck",
    key="backward leaves PyTorch",
    severity=Severity.WRONG,
    sentence="The backward computes “x.detach().numpy()” outside of PyTorch, "
    "where no derivative is recorded.",
    code="the same in PyTorch's operations",
    mended=Cube,
)
class NumpyInBackward(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return torch.tensor(3 * x.detach().numpy() ** 2) * grad_z


@plant(
    "gradgradcheck",
    key="detached",
    severity=Severity.RAISES,
    sentence="The backward is marked as not differentiable, so that there is no second derivative.",
    code="# without @once_differentiable",
)
class OnceDifferentiable(Cube):
    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_z


@plant(
    "gradgradcheck",
    "hessian",
    key="detached",
    severity=Severity.WRONG,
    sentence="The backward leaves the graph, so that the second derivative misses a part.",
    code="return 3 * x**2 * grad_z",
)
class GradientDetached(CubeWithTangent):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x.detach()**2 * grad_z  # fmt: skip


@plant(
    "gradgradcheck",
    key="detached",
    severity=Severity.WRONG,
    sentence="The backward leaves the graph, so that the second derivative misses a part.",
    code="# without “with torch.no_grad():”\ngrad_x = 3 * x**2 * grad_z",
)
class NoGradInBackward(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        with torch.no_grad():
            grad_x = 3 * x.data**2 * grad_z
        return grad_x


@plant(
    "gradgradcheck",
    key="intermediate",
    severity=Severity.WRONG,
    sentence="The forward saves square, neither input nor output: a constant to the second derivative.",
    code="ctx.save_for_backward(x)  # in forward\nsquare = x**2  # in backward, again",
)
class IntermediateSaved(OldStyle):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        square = x**2
        ctx.save_for_backward(square)
        return x * square

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (square,) = ctx.saved_tensors
        return 3 * square * grad_z


@plant(
    "saved tensors freed",
    key="on ctx",
    severity=Severity.NEEDLESS,
    sentence="Tensors are kept as ctx.x, ctx.z, where autograd neither frees nor guards them.",
    code="ctx.save_for_backward(x, z)  # in forward\nx, z = ctx.saved_tensors  # in backward",
)
@plant(
    "saved tensors guarded",
    key="on ctx",
    severity=Severity.WRONG,
    sentence="Tensors are kept as ctx.x, ctx.z, where autograd neither frees nor guards them.",
    code="ctx.save_for_backward(x, z)  # in forward\nx, z = ctx.saved_tensors  # in backward",
)
class KeptOnCtx(OldStyle):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.power = 3
        ctx.x, ctx.z = x, x**ctx.power
        return ctx.z

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        return ctx.power * ctx.x**2 * grad_z


@plant(
    "inputs unchanged",
    key="gradient written to",
    severity=Severity.WRONG,
    sentence="The backward writes to grad_z, which belongs to whoever gave it.",
    code="grad_z = grad_z.clone()  # before “grad_z *= 3 * x**2”",
)
@plant(
    "gradgradcheck",
    key="gradient written to",
    severity=Severity.RAISES,
    sentence="The backward writes to grad_z, which belongs to whoever gave it.",
    code="grad_z = grad_z.clone()  # before “grad_z *= 3 * x**2”",
)
class GradientOverwritten(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        grad_z *= 3 * x**2
        return grad_z


@plant(
    "inputs unchanged",
    key="input written to",
    severity=Severity.WRONG,
    sentence="The forward writes to its input.",
    code="InputOverwritten.apply(x.clone())  # or out of place: x.pow(3) for x.pow_(3)",
)
class InputOverwritten(Cube):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.data.pow_(3).clone()


@plant(
    "inputs unchanged",
    key="saved written to",
    severity=Severity.WRONG,
    sentence="The backward writes to a tensor that the forward saved.",
    code="x = x.clone()  # of ctx.saved_tensors, before it is written to",
)
class SavedOverwritten(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return x.detach().pow_(2) * 3 * grad_z


@plant(
    "strided gradients",
    "gradients of stride 0",
    key="contiguous gradient",
    severity=Severity.WRONG,
    sentence="The backward takes its gradient for contiguous.",
    code="grad_z = grad_z.contiguous()  # first in backward",
)
class StridesOfTheGradient(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad_z.as_strided(x.shape, x.stride(), grad_z.storage_offset())


@plant(
    "strided views",
    key="contiguous input",
    severity=Severity.WRONG,
    sentence="The forward takes its input for contiguous.",
    code="StridesOfTheInput.apply(x.contiguous())  # in the function that calls it",
)
class StridesOfTheInput(Cube):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.as_strided(x.shape, torch.empty(x.shape).stride()) ** 3


@plant(
    "needless work",
    key="needs_input_grad",
    severity=Severity.NEEDLESS,
    sentence="The backward computes gradients that nobody asked for.",
    code="grad_w = grad_z.mT @ x if ctx.needs_input_grad[1] else None\n"
    "return (grad_z @ w if ctx.needs_input_grad[0] else None), grad_w",
    reference=F.linear,
    sample=Sample(random(4, 3), random(2, 3)),
)
class AllGradients(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, w: Tensor) -> Tensor:
        return x @ w.mT

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        x, w = ctx.saved_tensors
        grad_w = grad_z.mT @ x
        return grad_z @ w, grad_w


@plant(
    "gradient dtypes",
    key="single precision",
    severity=Severity.NEEDLESS,
    sentence="The backward computes in float32, whatever it is given.",
    code="return 3 * x**2 * grad_z",
)
@plant(
    "gradients",
    key="single precision",
    severity=Severity.WRONG,
    sentence="The backward computes in float32, whatever it is given.",
    code="return 3 * x**2 * grad_z",
)
class SinglePrecision(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x.float()**2 * grad_z.to(torch.float32)  # fmt: skip


@plant(
    "gradient dtypes",
    key="gradient of another dtype",
    severity=Severity.NEEDLESS,
    sentence="The backward returns a gradient of another dtype than its input's, cast in silence.",
    code="ctx.dtype = x.dtype  # in setup_context\n"
    "grad_x = grad_x.to(ctx.dtype)  # in backward, before it returns it",
)
class DoublePrecision(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x.double() ** 2 * grad_z.double()


@plant(
    "autocast bfloat16",
    key="autocast",
    severity=Severity.RAISES,
    sentence="AutocastIgnored does not say what it computes in under autocast.",
    code='if torch.is_autocast_enabled("cpu"):  # in the function that calls apply',
    reference=F.linear,
    sample=Sample(random(4, 3), random(2, 3)),
)
class AutocastIgnored(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return x @ w.mT

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        x, w = ctx.saved_tensors
        return grad_z @ w, grad_z.mT @ x


@plant(
    "non finite values",
    key="infinity times zero",
    severity=Severity.WRONG,
    sentence="relu_as_a_product multiplies by 0 to leave something out: ∞ · 0 is NaN.",
    code="return torch.where(x <= 0, 0, x)",
    reference=F.relu,
)
def relu_as_a_product(x: Tensor) -> Tensor:
    return x * (x > 0)


@plant(
    "zero size batch",
    key="empty division",
    severity=Severity.WRONG,
    sentence="mean_of_rows divides by the number of examples, which may be 0.",
    code="return x.sum(0) / max(len(x), 1)",
    reference=lambda x: x.mean(0) if len(x) else x.sum(0),
)
def mean_of_rows(x: Tensor) -> Tensor:
    return x.sum(0) / len(x)


@plant(
    "deterministic",
    key="random",
    severity=Severity.WRONG,
    sentence="It draws random numbers: with the same seed before each call the row passes.",
    code='check(…, not_applicable={"deterministic": "draws random numbers"})  # if so meant',
    reference=None,
)
def noisy_cube(x: Tensor) -> Tensor:
    return Cube.apply(x) + torch.rand_like(x)


@plant(
    "gradcheck",
    "gradients",
    key="surrogate",
    severity=Severity.WRONG,
    sentence="The forward is constant around the sample, the gradient not 0: a surrogate's?",
    code="check(…, derivative=lambda x: x)  # the function whose derivative it is meant to be",
    reference=torch.round,
)
class StraightThrough(Cube):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        return grad_z


@plant(
    "gradcheck",
    key="differentiable",
    severity=Severity.WRONG,
    sentence="output[1] does not change with the input, but is not marked so.",
    code="ctx.mark_non_differentiable(output[1])  # in setup_context",
    reference=None,
)
class SignBesides(Cube):
    @staticmethod
    def forward(x: Tensor) -> Any:
        return x**3, x.sign()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grads[0] + grads[1]


@plant(
    "gradients",
    "gradcheck",
    key="wrong backward",
    severity=Severity.WRONG,
    sentence="The backward does not return the derivative of the forward.",
    code="# WrongFormula.forward as a plain function passes: compare the derivatives",
)
class WrongFormula(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 2 * x**2 * grad_z


@plant(
    "gradients",
    "gradcheck",
    key="detached",
    severity=Severity.WRONG,
    sentence="half_a_swish takes a part of itself out of the graph, so that its derivative is missing.",
    code="return x * x.sigmoid()",
    reference=F.silu,
)
def half_a_swish(x: Tensor) -> Tensor:
    return x * x.sigmoid().detach()


@plant(
    "gradcheck",
    key="detached",
    severity=Severity.WRONG,
    sentence="without_a_graph takes a part of itself out of the graph, "
    "so that its derivative is missing.",
    code="# without “with torch.no_grad():”",
    reference=None,
)
def without_a_graph(x: Tensor) -> Tensor:
    with torch.no_grad():
        scale = x.exp()
    return scale * x


@plant(
    "fake tensors",
    "vmap",
    key="number",
    severity=Severity.RAISES,
    sentence="normalised takes a number out of a tensor, which a tracer does not know.",
    code="return x / (x.abs().amax() + x.abs().sum())",
    reference=None,
)
def normalised(x: Tensor) -> Tensor:
    return x / (float(x.abs().amax()) + x.abs().sum().item())


@plant(
    "meta",
    key="device of a new tensor",
    severity=Severity.RAISES,
    sentence="The forward makes a tensor of another device than its input's.",
    code="return torch.maximum(x, torch.zeros(x.shape, dtype=x.dtype, device=x.device)) ** 3",
    reference=None,
    sample=Sample(random(3, 2).detach().abs().requires_grad_()),
)
class OnTheDefaultDevice(Cube):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.maximum(x, torch.zeros(x.shape, dtype=x.dtype)) ** 3


@plant(
    "dtypes",
    key="dtype of a new tensor",
    severity=Severity.NEEDLESS,
    sentence="tenth makes a tensor of another dtype than its input's.",
    code="return x * torch.full((1,), 0.1, dtype=x.dtype)",
    reference=lambda x: 0.1 * x,
)
def tenth(x: Tensor) -> Tensor:
    return x * torch.full((1,), 0.1, dtype=torch.float64)


@plant(
    "channels last",
    key="format lost",
    severity=Severity.NEEDLESS,
    sentence="The forward copies channels-last images into another order.",
    code="return x ** 3",
    sample=Sample(random(2, 3, 4, 2)),
)
class FormatLost(Cube):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.contiguous() ** 3


class Product(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, y: Tensor) -> Tensor:
        return x * y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        x, y = ctx.saved_tensors
        return grad_z * y, grad_z * x


@plant(
    "subsets of gradients",
    key="subset",
    severity=Severity.WRONG,
    sentence="The backward returns other gradients where not all of them are asked for.",
    code="# ShiftedGradients.forward as a plain function passes: compare the derivatives",
    reference=torch.mul,
    sample=Sample(random(3, 2), random(3, 2).detach().neg().requires_grad_()),
)
class ShiftedGradients(Product):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        x, y = ctx.saved_tensors
        needed = [grad_z * y] if ctx.needs_input_grad[0] else []
        needed += [grad_z * x] if ctx.needs_input_grad[1] else []
        return tuple(needed + [None] * (2 - len(needed)))


class Square(torch.autograd.Function):
    """x², whose own derivative is wrong: its backward is called by that of the Function below."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return x * grad_z


@plant(
    "gradgradcheck",
    key="second derivative",
    severity=Severity.WRONG,
    sentence="The backward is right, but its own derivative is not.",
    code="# SecondDerivativeWrong.forward as a plain function passes: compare the derivatives",
)
class SecondDerivativeWrong(Cube):
    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return 3 * Square.apply(x) * grad_z


@plant(
    "forward mode",
    key="wrong jvp",
    severity=Severity.WRONG,
    sentence="The jvp is not the derivative; the backward is.",
    code="# ⟨grad_z, jvp(dx)⟩ = ⟨backward(grad_z), dx⟩ for every grad_z and dx",
    mended=CubeWithTangent,
)
class WrongTangent(CubeWithTangent):
    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x**2 * tangent


def tried(
    function: Any, planted: Planted, capability: str, isolated: bool | None = False, **options: Any
) -> Report:
    callable_ = getattr(function, "apply", function)
    return check(
        callable_,
        planted.reference,
        [planted.sample],
        only=[capability],
        backend="eager",
        isolated=isolated,
        **options,
    )


CASES = [
    pytest.param(planted, capability, id=f"{planted.function.__name__}-{capability}")
    for planted in PLANTED
    for capability in planted.rows
]


@pytest.mark.parametrize(("planted", "capability"), CASES)
@pytest.mark.filterwarnings("ignore")  # some faults are warned of
def test_a_planted_fault_is_named_and_mended(planted: Planted, capability: str) -> None:
    (explanation,) = tried(planted.function, planted, capability).causes
    cause = explanation.cause
    assert cause.sentence == planted.sentence, explanation
    assert cause.key.startswith(f"{planted.key} ")
    assert cause.severity is planted.severity
    assert set(planted.code.splitlines()) <= set(cause.mending.splitlines())
    file, _, line = cause.place.partition(":")
    assert file == HERE
    assert int(line) in lines_of(planted.function)
    assert cause.page == f"docs/capabilities/{capability.replace(' ', '-')}.md"
    if planted.mended:
        assert tried(planted.mended, planted, capability).passed
    else:
        assert cause.tried or planted.key == "surrogate"


def lines_of(function: Any) -> set[int]:
    """The lines of this file in which a function is written, or a class and its bases."""
    found: set[int] = set()
    for part in getattr(function, "__mro__", [function]):
        if part.__module__ == __name__:
            lines, first = inspect.getsourcelines(part)
            found |= set(range(first, first + len(lines)))
    return found


class Binarize(torch.autograd.Function):
    """Straight through, and in single precision besides."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (x > 0).float() * 2 - 1

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> Tensor:
        return grad_z


class OfTwo(torch.autograd.Function):
    """The second gradient is of the first argument's dtype."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, power: int = 1) -> Tensor:
        ctx.save_for_backward(x, scale)
        return x * scale.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad_z: Tensor) -> tuple[Tensor, Tensor, None]:
        x, scale = ctx.saved_tensors
        return grad_z * scale.to(x.dtype), (grad_z * x).sum(), None


def test_integers_are_no_way_to_mend_a_straight_through_estimator() -> None:
    (cause,) = check(Binarize.apply, None, [numbers], only=["gradcheck"]).causes
    assert "constant around the sample, the gradient not 0: a surrogate's?" in cause.cause.sentence


def test_the_gradient_of_another_dtype_is_named() -> None:
    sample = Sample(random(3, 2), random())
    (cause,) = check(OfTwo.apply, None, [sample], only=["autocast bfloat16"]).causes
    assert "grad_scale = grad_scale.to(ctx.dtype)" in cause.cause.mending


def test_a_forward_without_ctx_keeps_its_defaults() -> None:
    sample = Sample(random(3, 2), random())
    (cause,) = check(OfTwo.apply, None, [sample], only=["vmap"]).causes
    assert "def forward(x, scale, power=1): …" in cause.cause.mending


def test_what_is_expected_to_fail_and_passes_is_out_of_date_and_one_cause_has_its_rows() -> None:
    expected = {"forward": "as it was", "gradcheck": "as it was"}
    only = [*expected]
    causes = check(cube, cube, [numbers], only=only, expected_failures=expected).causes
    assert {each.cause.severity for each in causes} == {Severity.OUTDATED}
    (cause,) = check(lambda x: x > 0, None, [numbers], only=["gradcheck", "jacobian"]).causes
    assert [row.capability for row in cause.rows] == ["gradcheck", "jacobian"]
