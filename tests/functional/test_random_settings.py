"""Every function against PyTorch's own at drawn settings, wrong ones among them.

For each example both functions get the same tensors, in any memory layout, and the same
hyperparameters. Either they agree in the output, in each gradient that is asked for and in what they
leave in their arguments (running averages are updated, nothing else is), or both raise the same type
of exception. Hypothesis draws settings; the numbers come from a generator whose seed it draws.

By default the same 300 examples of each operation are run each time. This draws new ones::

    ANSNET_EXAMPLES=10000 pytest -rP tests/functional/test_random_settings.py

On 2026-11-24, with torch 2.15.0 and Python 3.11.7, of 10,000 examples each:

=================  ========  ==========================  ===========
operation          compared  compared, of no elements    both raised
=================  ========  ==========================  ===========
conv2d                5,654                       1,732        2,614
relu                  7,154                       1,225        1,621
max_pool2d, first     6,736                       1,523        1,741
max_pool2d, all       8,335                           0        1,665
reshape               7,396                         870        1,734
linear                7,168                       1,841          991
batch_norm1d          7,262                         903        1,835
batch_norm2d          6,414                       2,535        1,051
cross_entropy         8,889                           0        1,111
=================  ========  ==========================  ===========
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import configuration, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from torch import Tensor

from ansnet.functional import (
    batch_norm1d,
    batch_norm2d,
    conv2d,
    cross_entropy,
    linear,
    max_pool2d,
    relu,
    reshape,
)

Shape = tuple[int, ...]

EXAMPLES = os.environ.get("ANSNET_EXAMPLES")
SETTINGS = settings(
    max_examples=int(EXAMPLES or 300), derandomize=EXAMPLES is None, deadline=None, database=None
)

WIDE = [torch.float64, torch.float32]
NARROW = [torch.bfloat16, torch.float16]
COMPLEX = [torch.complex128, torch.complex64]
INTEGERS = [torch.int64, torch.int32, torch.int16]
ORDERED = [*WIDE, *NARROW, *INTEGERS]
NUMBERS = [*ORDERED, *COMPLEX]

# The relative error. In a wide dtype each partial sum of up to some hundred products is rounded, by
# each side in its own order. Narrow numbers are summed in float32: what is rounded to them is the
# result, and perhaps an intermediate result or two. There both are compared with PyTorch in double
# precision, and ours may be wrong by twice as much as PyTorch is: that can be much, as the gradient
# of batch normalisation has shown.
TOLERANCE = {dtype: 128 * torch.finfo(dtype).eps for dtype in WIDE + COMPLEX} | {
    dtype: 4 * torch.finfo(dtype).eps for dtype in NARROW
}

# (function, PyTorch's exception, ours) where they may differ, because ours is one for one mistake
ALLOWED = {
    # an unknown word for padding, which PyTorch notices in C++
    ("conv2d", RuntimeError, ValueError),
    # a target of the wrong shape, for which PyTorch has a kernel, and an exception, by dimension
    ("cross_entropy", RuntimeError, ValueError),
}


class Drawn(NamedTuple):
    """A tensor as Hypothesis draws it."""

    shape: Shape
    dtype: torch.dtype
    values: str | range
    layout: str
    requires_grad: bool
    seed: int

    def tensor(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        match self.values:
            case "normal":
                widest = torch.promote_types(self.dtype, torch.float64)
                x = torch.randn(self.shape, dtype=widest, generator=generator)
            case "positive":
                x = torch.rand(self.shape, generator=generator) + 0.5
            case "distinct":
                x = torch.randperm(prod(self.shape), generator=generator).reshape(self.shape)
            case range(start=low, stop=high):
                x = torch.randint(low, high, self.shape, generator=generator)
        x = x.to(self.dtype)
        x = LAYOUTS[self.layout](x) if x.dim() else x
        differentiable = x.is_floating_point() or x.is_complex()
        return x.detach().requires_grad_(self.requires_grad and differentiable)


def in_memory_order(x: Tensor, *axes: int) -> Tensor:
    """``x`` with the last of ``axes`` closest in memory."""
    return x.permute(axes).contiguous().permute(torch.tensor(axes).argsort().tolist())


def lazy(x: Tensor) -> Tensor:
    """``x`` as a view that is conjugated, or negated, when it is read."""
    if x.is_complex():
        return x.conj().resolve_conj().conj()
    return torch.complex(x, -x).conj().imag if x.dtype in WIDE else x


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "offset": lambda x: torch.stack([x, x])[1],
    "strided": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "channels last": lambda x: in_memory_order(x, 0, *range(2, x.dim()), 1) if x.dim() > 1 else x,
    "transposed": lambda x: in_memory_order(x, *range(x.dim())[::-1]),
    "lazy": lazy,
    "expanded rows": lambda x: x[:1].expand_as(x),
    "expanded columns": lambda x: x[..., :1].expand_as(x),
}
NOT_EXPANDED = [layout for layout in LAYOUTS if not layout.startswith("expanded")]


class Call(NamedTuple):
    """The arguments of both functions, and the gradient that comes back, in the output's shape."""

    arguments: dict[str, Any]
    grad_z: Drawn


def tensors(
    shape: Sequence[int],
    dtype: torch.dtype,
    values: str | range = "normal",
    layouts: Sequence[str] = tuple(LAYOUTS),
) -> SearchStrategy[Drawn]:
    return st.builds(
        Drawn,
        shape=st.just(tuple(shape)),
        dtype=st.just(dtype),
        values=st.just(values),
        layout=st.sampled_from(layouts),
        requires_grad=st.booleans(),
        seed=st.integers(0, 2**32 - 1),
    )


@st.composite
def calls(draw: DrawFn, arguments: dict[str, Any], mistakes: dict[str, Sequence[Any]]) -> Call:
    """A call; one in four makes one mistake: another value, or what a function makes of the tensor."""
    grad_z = draw(tensors((), torch.float64))
    if mistakes and draw(st.integers(0, 3)) == 3:
        name = draw(st.sampled_from(list(mistakes)))
        mistake = draw(st.sampled_from(mistakes[name]))
        arguments = arguments | {name: mistake(arguments[name]) if callable(mistake) else mistake}
    return Call(arguments, grad_z)


def of_shape(change: Callable[[Shape], Shape]) -> Callable[[Drawn | None], Drawn | None]:
    return lambda x: x and x._replace(shape=change(x.shape))


def of_dtype(dtype: torch.dtype) -> Callable[[Drawn | None], Drawn | None]:
    return lambda x: x and x._replace(dtype=dtype)


def of_values(values: range) -> Callable[[Drawn], Drawn]:
    return lambda x: x._replace(values=values)


OTHER_DTYPES = list(
    map(of_dtype, [torch.float32, torch.float16, torch.complex64, torch.int64, torch.bool])
)
UNORDERED = [of_dtype(torch.complex64), of_dtype(torch.bool)]
NO_PAIRS = [-1, (1, -1), (1, 2, 3), 1.5, (1, 1.5), "2", None, True]

SIZES = st.sampled_from([2, 1, 3, 5, 7] * 2 + [0])
BATCHES = st.sampled_from([(2,), (1,), (3,), (0,), ()])
VALUES = st.sampled_from(["normal", range(-1, 2)])


def pairs(low: int, high: int) -> SearchStrategy[Any]:
    """One int, or a pair of them."""
    ints = st.integers(low, high)
    return ints | st.tuples(ints, ints) | st.lists(ints, min_size=2, max_size=2)


def as_pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


@st.composite
def calls_of_conv2d(draw: DrawFn) -> Call:
    dtype = draw(st.sampled_from(NUMBERS))
    window, dilation, groups = draw(pairs(1, 4)), draw(pairs(1, 3)), draw(st.integers(1, 3))
    padding = draw(pairs(0, 3) | st.sampled_from(["same", "valid"]))
    zeros = (0, 0) if isinstance(padding, str) else as_pair(padding)
    image = [
        max(1, D * (K - 1) + 1 - 2 * P) + draw(st.integers(0, 5))
        for K, D, P in zip(as_pair(window), as_pair(dilation), zeros, strict=True)
    ]
    channels, filters = draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    arguments = {
        "input": draw(tensors((*draw(BATCHES), groups * channels, *image), dtype)),
        "weight": draw(tensors((filters, channels, *as_pair(window)), dtype)),
        "bias": draw(st.none() | tensors((filters,), dtype)),
        "stride": 1 if padding == "same" else draw(pairs(1, 3)),
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
    }
    # PyTorch compares the dtypes only where padding is a number, and some of them otherwise
    other_dtypes = [] if isinstance(padding, str) else OTHER_DTYPES
    mistakes = {
        "input": [
            *other_dtypes,
            of_shape(lambda shape: (*shape[:-3], shape[-3] + 1, *shape[-2:])),
            of_shape(lambda shape: shape[-2:]),
            of_shape(lambda shape: (1, 1, *shape)),
        ],
        "weight": [
            *other_dtypes,
            of_shape(lambda shape: shape[1:]),
            of_shape(lambda shape: (*shape, 1)),
        ],
        "bias": [
            *other_dtypes,
            of_shape(lambda shape: (shape[0] + 1,)),
            of_shape(lambda shape: (1, *shape)),
        ],
        "stride": [0, 2, *NO_PAIRS],
        "padding": ["full", *NO_PAIRS],
        "dilation": [19, *NO_PAIRS],
        "groups": [-1, 0, groups + 1, 1.5, "2", None],
    }
    return draw(calls(arguments, mistakes))


@st.composite
def calls_of_relu(draw: DrawFn) -> Call:
    shape, dtype = draw(st.lists(SIZES, max_size=4)), draw(st.sampled_from(ORDERED))
    return draw(calls({"input": draw(tensors(shape, dtype, draw(VALUES)))}, {"input": UNORDERED}))


@st.composite
def calls_of_max_pool2d(draw: DrawFn, ties: str) -> Call:
    dtype, window = draw(st.sampled_from(ORDERED)), draw(pairs(1, 4))
    side_by_side = draw(st.booleans())
    stride = draw(st.none() | st.just(window) if side_by_side else pairs(1, 4))
    dilation = 1 if side_by_side else draw(pairs(1, 2))
    # as many rows of padding as windows allow; none lies in the padding as a whole
    padding = 0 if side_by_side else tuple(draw(st.integers(0, K // 2)) for K in as_pair(window))
    image = [
        K * D * draw(st.integers(1, 2)) + draw(st.integers(0, K - 1))
        for K, D in zip(as_pair(window), as_pair(dilation), strict=True)
    ]
    shape = (*draw(BATCHES), draw(st.integers(1, 3)), *image)
    if ties == "first":
        x = draw(tensors(shape, dtype, draw(VALUES)))
    else:  # up to 15 x 15 different numbers, which bfloat16 has too
        x = draw(
            tensors((1, *image), WIDE[0] if prod(image) > 225 else dtype, "distinct", NOT_EXPANDED)
        )
    mistakes = {
        "input": [
            *UNORDERED,
            of_shape(lambda shape: shape[-2:]),
            of_shape(lambda shape: (1, 1, *shape)),
            of_shape(lambda shape: (*shape[:-3], 0, *shape[-2:])),
        ],
        "window_size": [0, 32, *NO_PAIRS],
        "stride": [0, *(value for value in NO_PAIRS if value is not None)],
        "padding": [3, 9, *NO_PAIRS],
        "dilation": [0, 99, *NO_PAIRS],
        "ceil_mode": [1, "yes", None],
    }
    arguments = {
        "input": x,
        "window_size": window,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": False if side_by_side else draw(st.booleans()),
        "ties": ties,
    }
    return draw(calls(arguments, mistakes))


@st.composite
def calls_of_reshape(draw: DrawFn) -> Call:
    shape, dtype = draw(st.lists(SIZES, max_size=4)), draw(st.sampled_from([*NUMBERS, torch.bool]))
    sizes = draw(st.permutations([*shape, 1]))
    merged = draw(st.integers(1, len(sizes)))
    sizes = [prod(sizes[:merged]), *sizes[merged:]]
    if draw(st.booleans()):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    arguments = {"input": draw(tensors(shape, dtype, draw(VALUES))), "shape": tuple(sizes)}
    return draw(calls(arguments, {"shape": [(*sizes, size) for size in (2, -1, -2, 1.5, "1", None)]}))


@st.composite
def calls_of_linear(draw: DrawFn) -> Call:
    dtype = draw(st.sampled_from(NUMBERS))
    leading, inputs, outputs = draw(st.lists(SIZES, max_size=3)), draw(SIZES), draw(SIZES)
    arguments = {
        "input": draw(tensors((*leading, inputs), dtype)),
        "weight": draw(tensors((outputs, inputs), dtype)),
        "bias": draw(st.none() | tensors((outputs,), dtype)),
    }
    mistakes = {
        "input": [
            *OTHER_DTYPES,
            of_shape(lambda shape: (*shape[:-1], shape[-1] + 1)),
            of_shape(lambda _: ()),
        ],
        "weight": [*OTHER_DTYPES, of_shape(lambda shape: (1, *shape))],
        "bias": [of_shape(lambda shape: (shape[0] + 2,))],
    }
    if not dtype.is_complex:  # then, in some layouts of the input, a real bias is none
        mistakes["bias"] += OTHER_DTYPES
    some = prod((*leading, inputs, outputs)) > 0  # of no products PyTorch does not check the dtypes
    return draw(calls(arguments, mistakes if some else {}))


@st.composite
def calls_of_batch_norm(draw: DrawFn, *axes: str) -> Call:
    dtype = draw(st.sampled_from(WIDE + NARROW))
    of_vectors = draw(st.sampled_from([dtype, torch.promote_types(dtype, torch.float32)]))
    channels = draw(st.integers(1, 5))
    shape = [channels if axis == "C" else draw(SIZES) for axis in axes]
    vectors = partial(tensors, (channels,), of_vectors)
    training = draw(st.booleans())
    mean = var = None
    if not training or draw(st.booleans()):
        mean = draw(vectors("normal", NOT_EXPANDED))._replace(requires_grad=False)
        var = draw(vectors("positive", NOT_EXPANDED))._replace(requires_grad=False)
    arguments = {
        "input": draw(tensors(shape, dtype)),
        "weight": draw(st.none() | vectors()),
        "bias": draw(st.none() | vectors()),
        "running_mean": mean,
        "running_var": var,
        "training": training,
        "momentum": draw(st.sampled_from([0.1, 0.0, 0.3, 1.0])),
        "eps": draw(st.sampled_from([1e-5, 1e-3, 1.0])),
    }
    wrong_vectors = [
        *OTHER_DTYPES,
        of_shape(lambda shape: (shape[0] + 1,)),
        of_shape(lambda shape: (*shape, 2)),
    ]
    mistakes = {
        "input": OTHER_DTYPES,
        "weight": wrong_vectors,
        "bias": wrong_vectors,
        "running_mean": [None, *wrong_vectors],
        "running_var": [None, *wrong_vectors],
        "eps": [-1e-3, "1", None],
    }
    several = prod(shape) > channels  # one row is wrong in itself, and of none PyTorch checks nothing
    return draw(calls(arguments, mistakes if several else {}))


@st.composite
def calls_of_cross_entropy(draw: DrawFn) -> Call:
    # few enough that the sum of their losses, which PyTorch keeps in float16, is no infinity
    classes, further = draw(st.sampled_from([3, 1, 2, 11])), draw(st.lists(SIZES, max_size=2))
    batch = (draw(SIZES),) if further else draw(BATCHES)
    dtype = draw(st.sampled_from(WIDE + NARROW))
    of_probabilities = draw(st.booleans())
    ignore_index = -100 if of_probabilities else draw(st.sampled_from([-100, 0, 1, -1]))
    target = tensors((*batch, *further), torch.int64, range(classes))
    if of_probabilities:
        target = tensors((*batch, classes, *further), dtype, "positive")
    weight = draw(st.none() | tensors((classes,), dtype, "positive"))
    if weight is not None and not of_probabilities:
        weight = weight._replace(requires_grad=False)
    arguments = {
        "input": draw(tensors((*batch, classes, *further), dtype)),
        "target": draw(target),
        "weight": weight,
        "ignore_index": ignore_index,
        "reduction": draw(st.sampled_from(["mean", "sum", "none"])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.1, 1.0])),
    }
    mistakes = {
        "input": OTHER_DTYPES,
        "target": [
            *OTHER_DTYPES,
            of_values(range(-1, classes)),
            of_values(range(classes + 1)),
            of_shape(lambda shape: (*shape, 2)),
            of_shape(lambda shape: (4, *shape[1:])),
        ],
        "weight": [of_shape(lambda shape: (shape[0] + 1,)), of_dtype(torch.float64)],
        "reduction": ["median", None],
        "ignore_index": [1.5, "1", None],
        "label_smoothing": [1.5, "0.1", None],
    }
    if of_probabilities:  # other dtypes are promoted, other shapes taken for class indices
        mistakes = {name: mistakes[name] for name in ("reduction", "label_smoothing")}
        mistakes |= {"ignore_index": [0, 1.5], "target": [of_dtype(torch.int64)]}
    some = prod((*batch, *further)) > 0  # of no targets PyTorch 2.11 does not check the dtype
    return draw(calls(arguments, mistakes if some else {}))


def exact(_: Call) -> float:
    """The function selects numbers, and rounds none."""
    return 0.0


def well_conditioned(_: Call) -> float:
    """As large as a normal number becomes, in a sum of which nothing may be left."""
    return 4.0


def normalised(call: Call) -> float:
    """What batch normalisation computes in a channel is multiplied by r, and so are its errors."""
    if not call.arguments["training"]:
        return well_conditioned(call)
    rows = call.arguments["input"].tensor().detach().movedim(1, -1).flatten(0, -2).double()
    v = rows.var(0, correction=0).min().item()
    return well_conditioned(call) * max(1.0, (v + call.arguments["eps"]) ** -0.5)


class Operation(NamedTuple):
    """Our function and PyTorch's, calls of them, and what multiplies the relative error."""

    ours: Callable[..., Tensor]
    theirs: Callable[..., Tensor]
    calls: SearchStrategy[Call]
    condition: Callable[[Call], float] = well_conditioned


def our_reshape(input: Tensor, shape: Shape) -> Tensor:
    return reshape(input, shape)


def their_max_pool2d(input: Tensor, window_size: Any, *, ties: str, **settings: Any) -> Tensor:
    return F.max_pool2d(input, window_size, **settings)


def their_batch_norm(**arguments: Any) -> Tensor:
    """PyTorch's of contiguous tensors; of others its gradients on a CPU are wrong (2.11 and 2.15)."""
    copies = {
        name: argument.resolve_neg().contiguous() if isinstance(argument, Tensor) else argument
        for name, argument in arguments.items()
    }
    z = F.batch_norm(**copies)
    if z.requires_grad:
        z.register_hook(Tensor.contiguous)
    for name in ("running_mean", "running_var"):
        if arguments[name] is not copies[name]:
            arguments[name].copy_(copies[name])
    return z


OPERATIONS = {
    "conv2d": Operation(conv2d, F.conv2d, calls_of_conv2d()),
    "relu": Operation(relu, F.relu, calls_of_relu(), exact),
    "max_pool2d-first": Operation(max_pool2d, their_max_pool2d, calls_of_max_pool2d("first")),
    "max_pool2d-all": Operation(max_pool2d, their_max_pool2d, calls_of_max_pool2d("all")),
    "reshape": Operation(our_reshape, torch.reshape, calls_of_reshape(), exact),
    "linear": Operation(linear, F.linear, calls_of_linear()),
    "batch_norm1d": Operation(batch_norm1d, their_batch_norm, calls_of_batch_norm(*"NC"), normalised),
    "batch_norm2d": Operation(batch_norm2d, their_batch_norm, calls_of_batch_norm(*"NCHW"), normalised),
    "cross_entropy": Operation(cross_entropy, F.cross_entropy, calls_of_cross_entropy()),
}


def as_drawn(x: Tensor) -> Tensor:
    return x


def exactly(x: Tensor) -> Tensor:
    """The same numbers in double precision."""
    return x.detach().double().requires_grad_(x.requires_grad) if x.is_floating_point() else x


def outcome(
    function: Callable[..., Tensor], call: Call, precision: Callable[[Tensor], Tensor] = as_drawn
) -> list[Tensor] | Exception:
    """Output, gradients, and the tensors as the call leaves them; or the exception."""
    arguments = {
        name: precision(argument.tensor()) if isinstance(argument, Drawn) else argument
        for name, argument in call.arguments.items()
    }
    inputs = [argument for argument in arguments.values() if isinstance(argument, Tensor)]
    sources = [x for x in inputs if x.requires_grad]
    try:
        z = function(**arguments)
        dtype = torch.promote_types(call.arguments["input"].dtype, torch.float16)
        grad_z = call.grad_z._replace(shape=z.shape, dtype=dtype, requires_grad=False).tensor()
        grad_z = grad_z.to(z.dtype)
        gradients = torch.autograd.grad(z, sources, grad_z) if sources else ()
    except Warning:
        raise
    except Exception as error:
        return error
    return [x.detach() for x in (z, *gradients, *inputs)]


def compare(operation: Operation, call: Call) -> str:
    """Whether both raised, or what was compared is empty, or is not; fails where they differ."""
    ours, theirs = outcome(operation.ours, call), outcome(operation.theirs, call)
    if isinstance(ours, Exception) and isinstance(theirs, Exception):
        # NotImplementedError is a RuntimeError; which of them "not implemented for" is, depends on
        # the release of PyTorch
        same = isinstance(ours, type(theirs)) or isinstance(theirs, type(ours))
        types = operation.ours.__name__, type(theirs), type(ours)
        assert same or types in ALLOWED, f"ours raises {ours!r}, PyTorch {theirs!r}"
        return "raised"
    assert isinstance(ours, list), f"ours raises {ours!r}, PyTorch does not"
    assert isinstance(theirs, list), f"PyTorch raises {theirs!r}, ours does not"
    empty = theirs[0].numel() == 0
    tolerance = TOLERANCE.get(call.arguments["input"].dtype, 0.0)
    atol = 0.0 if empty else tolerance * operation.condition(call)
    narrow = call.arguments["input"].dtype in NARROW
    truth = outcome(operation.theirs, call, exactly) if narrow else theirs
    if isinstance(truth, Exception):  # of some mixtures of dtypes
        truth = theirs
    for one, other, best in zip(ours, theirs, truth, strict=True):
        assert one.dtype == other.dtype
        allowed = atol + 2 * largest(other.double() - best.double()) if narrow else atol
        torch.testing.assert_close(
            one, best, atol=allowed, rtol=min(atol, tolerance), equal_nan=True, check_dtype=False
        )
    return "empty" if empty else "compared"


def largest(error: Tensor) -> float:
    return error.abs().nan_to_num(nan=0.0, posinf=torch.inf).max().item() if error.numel() else 0.0


@pytest.fixture(autouse=True, scope="module")
def _hypothesis_keeps_nothing_here(tmp_path_factory: pytest.TempPathFactory) -> None:
    configuration.set_hypothesis_home_dir(tmp_path_factory.mktemp("hypothesis"))


# both are PyTorch's own, the second, of float16 beside a complex dtype, is said only once
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_equals_pytorch(operation: Operation, request: pytest.FixtureRequest) -> None:
    verdicts: Counter[str] = Counter()

    @SETTINGS
    @given(operation.calls)
    def compare_once(call: Call) -> None:
        verdicts[compare(operation, call)] += 1

    compare_once()
    print(request.node.name, dict(verdicts))
    assert 3 * verdicts["compared"] >= verdicts.total(), "too few of the examples compare numbers"
