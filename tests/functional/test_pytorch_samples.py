"""PyTorch's own samples of each operation, and its own wrong arguments, given to ours too.

PyTorch tests an operation with the samples that its OpInfo generates. Here both evaluate each of
them that our signature covers: in every dtype that PyTorch supports, output, gradients and the
arguments after the call (running averages are updated in place) are equal; in double precision
second derivatives too. Where ours has no argument for what a sample asks, it is left out, and
counted by the reason: ``pytest -s`` prints the numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close, make_tensor

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

# its import forbids the whole process to set cuDNN's flags, which a Trainer in another test may do
with mock.patch.object(torch.backends, "disable_global_flags"):
    internal = pytest.importorskip("torch.testing._internal.common_methods_invocations")

pytestmark = [
    # PyTorch says so of its own operations, once in a process
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning"),
    pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental:UserWarning"),
]


Totals = defaultdict[str, Counter[str]]


class NotCoveredError(Exception):
    """Our signature does not cover a sample; the message is the reason."""


def leave_out(reason: str, applies: bool) -> None:
    if applies:
        raise NotCoveredError(reason)


def our_max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    leave_out("return_indices", return_indices)
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, ties="first")


def our_batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    **hyperparameters: Any,
) -> Tensor:
    leave_out(f"{input.dim()}-D input", input.dim() not in (2, 3, 4))
    ours = batch_norm2d if input.dim() == 4 else batch_norm1d
    return ours(input, weight, bias, running_mean, running_var, **hyperparameters)


def our_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    leave_out("1-D weight", weight.dim() == 1)
    return linear(input, weight, bias)


OURS: dict[str, Callable[..., Tensor]] = {
    "nn.functional.conv2d": conv2d,
    "nn.functional.relu": relu,
    "nn.functional.max_pool2d": our_max_pool2d,
    "nn.functional.batch_norm": our_batch_norm,
    "nn.functional.linear": our_linear,
    "reshape": reshape,
    "nn.functional.cross_entropy": cross_entropy,
}
THEIRS = {op.name: op for op in internal.op_db if op.name in OURS and not op.variant_test_name}

LEFT_OUT = {
    "nn.functional.max_pool2d": {"return_indices"},
    "nn.functional.batch_norm": {"1-D input"},
    "nn.functional.linear": {"1-D weight"},  # torch 2.11 has no such sample yet
}

# below double precision the two round in different places, because: see `tolerance`
ROUNDED_ELSEWHERE = {
    "nn.functional.conv2d": "gradients are sums, which the two take in different orders",
    "nn.functional.max_pool2d": "gradients of windows that overlap add up, each sum rounded",
    "nn.functional.batch_norm": "PyTorch rounds μ and r to the input's dtype, we do not",
    "nn.functional.cross_entropy": "PyTorch rounds log p to the input's dtype, and derives p from it",
}
DOUBLE = {
    torch.bfloat16: torch.float64,
    torch.float16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The samples are so small that threads would only wait for each other."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def totals(record_testsuite_property: Callable[[str, object], None]) -> Iterator[Totals]:
    """A row of numbers for each operation, over all dtypes; printed and recorded at the end."""
    totals: Totals = defaultdict(Counter)
    yield totals
    for row, numbers in totals.items():
        left_out = [f"{number} {reason}" for reason, number in numbers.items() if reason != "run"]
        columns = f"{numbers['run']} run; left out: {', '.join(left_out) or 'none'}"
        print(f"\n{row}: {columns}", end="")
        record_testsuite_property(row, columns)


def short(name: object) -> str:
    return str(name).rpartition(".")[2]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        pytest.param(name, dtype, id=f"{short(name)}-{short(dtype)}")
        for name in OURS
        for dtype in sorted(THEIRS[name].supported_dtypes("cpu"), key=str)
    ],
)
def test_equals_pytorch(name: str, dtype: torch.dtype, totals: Totals) -> None:
    torch.manual_seed(0)
    requires_grad = dtype in THEIRS[name].supported_backward_dtypes("cpu")
    samples = THEIRS[name].reference_inputs("cpu", dtype, requires_grad=requires_grad, set_seed=False)
    totals[short(name)] += tally(name, samples, partial(assert_equal, name, dtype))


@pytest.mark.parametrize("name", [name for name in OURS if THEIRS[name].error_inputs_func], ids=short)
def test_wrong_arguments_raise_the_same_error(name: str, totals: Totals) -> None:
    wrong = THEIRS[name].error_inputs("cpu")
    totals[f"{short(name)}, wrong arguments"] += tally(name, wrong, partial(assert_same_error, name))


def tally(name: str, samples: Iterable[Any], check: Callable[[Any], None]) -> Counter[str]:
    """Check each sample; how many ran, and how many were left out for which reason, the first."""
    numbers: Counter[str] = Counter()
    for sample in samples:
        try:
            check(sample)
        except NotCoveredError as reason:
            numbers[str(reason)] += 1
        else:
            numbers["run"] += 1
    assert numbers["run"] > 0
    assert numbers.keys() <= {"run", *LEFT_OUT.get(name, ())}
    return numbers


def assert_equal(name: str, dtype: torch.dtype, sample: Any) -> None:
    """Ours and PyTorch's have the same results, wherever the elements lie in memory."""
    assert_same_results(name, dtype, sample)
    assert_same_results(name, dtype, sample.noncontiguous())


def assert_same_results(name: str, dtype: torch.dtype, sample: Any) -> None:
    ours, theirs = (evaluate(f, copy_of(sample), dtype) for f in (OURS[name], THEIRS[name].op))
    exact = theirs
    if name in ROUNDED_ELSEWHERE and dtype in DOUBLE:
        exact = evaluate(THEIRS[name].op, copy_of(sample, DOUBLE), dtype)
    assert ours.keys() == theirs.keys()
    for what, result in ours.items():
        margin = tolerance(theirs[what], exact[what])
        try:
            assert_close(result, theirs[what], **margin, equal_nan=True)
        except AssertionError as error:
            error.add_note(f"{what} of {sample.summary()}")
            raise


def assert_same_error(name: str, wrong: Any) -> None:
    with pytest.raises(wrong.error_type, match=wrong.error_regex) as theirs:
        call(THEIRS[name].op, wrong.sample_input)
    with pytest.raises(theirs.type) as ours:
        call(OURS[name], wrong.sample_input)
    assert ours.type is theirs.type


def tolerance(theirs: Tensor, exact: Tensor) -> dict[str, float]:
    """What `assert_close` has by default for the dtype, where nothing more ``exact`` is known.

    Else the two have rounded in different places: ours is to be as near to the exact result as
    theirs is, but for `assert_close`'s tolerances, the relative one being of the largest element:
    where terms cancel, no digit of a small one need agree. The tolerances that the OpInfos state
    are for other tests (compiled code, other devices).
    """
    if theirs.dtype == exact.dtype or theirs.numel() == 0:
        return {}
    rtol, atol = torch.testing._comparison.default_tolerances(theirs.dtype)
    error, largest = (x.abs().max().item() for x in (theirs - exact, exact))
    return {"rtol": 0.0, "atol": atol + rtol * largest + 2 * error}


def evaluate(function: Callable[..., Tensor], sample: Any, dtype: torch.dtype) -> dict[str, Tensor]:
    """The output, the arguments after the call, their gradients, in double precision those of these.

    What the derivatives are multiplied with is random, in ``dtype``, and the same in each call.
    """

    def random_like(x: Tensor) -> Tensor:
        return make_tensor(x.shape, dtype=dtype, device=x.device).to(x.dtype).requires_grad_()

    output = call(function, sample)
    torch.default_generator.manual_seed(0)  # torch.manual_seed keeps a traceback for CUDA each time
    arguments = [
        x for x in (sample.input, *sample.args, *sample.kwargs.values()) if isinstance(x, Tensor)
    ]
    results = {"output": output} | numbered("argument", arguments)
    sources = [x for x in arguments if x.requires_grad]
    twice = dtype in DOUBLE.values()
    if sources:
        grad_output = random_like(output)
        gradients = torch.autograd.grad(output, sources, grad_output, create_graph=twice)
        results |= numbered("gradient", gradients)
        if twice:
            second = torch.autograd.grad(
                gradients,
                [*sources, grad_output],
                [random_like(gradient) for gradient in gradients],
                materialize_grads=True,
            )
            results |= numbered("second derivative", second)
    return results


def numbered(what: str, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {f"{what} {index}": tensor for index, tensor in enumerate(tensors)}


def call(function: Callable[..., Tensor], sample: Any) -> Tensor:
    return function(sample.input, *sample.args, **sample.kwargs)


def copy_of(sample: Any, dtypes: dict[torch.dtype, torch.dtype] | None = None) -> Any:
    """A copy with the same strides, each tensor in the dtype that ``dtypes`` has for its own."""

    def copied(x: Tensor) -> Tensor:
        dtype = (dtypes or {}).get(x.dtype, x.dtype)
        return deepcopy(x.detach()).to(dtype).requires_grad_(x.requires_grad)

    return sample.transform(copied)
