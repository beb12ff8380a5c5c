"""`ansnet.functional.loss`."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ansnet.functional import cross_entropy
from tests.functional.comparison import assert_differentiable, assert_equal, random

TOLERANCE = 1e-12


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 10), (7, 3), (128, 10)])
def test_equals_pytorch(shape: tuple[int, int], label_smoothing: float) -> None:
    target = torch.randint(shape[1], shape[:1])
    assert_equal(
        lambda x: cross_entropy(x, target, label_smoothing=label_smoothing),
        lambda x: F.cross_entropy(x, target, label_smoothing=label_smoothing),
        [random(*shape)],
        TOLERANCE,
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_gradients(label_smoothing: float) -> None:
    target = torch.tensor([0, 3, 1])
    assert_differentiable(
        lambda x: cross_entropy(x, target, label_smoothing=label_smoothing), [random(3, 4)]
    )


@pytest.mark.parametrize("scale", [1e-30, 1e4, 1e30])
def test_logits_of_any_size(scale: float) -> None:
    x = (scale * torch.tensor([[1.0, -1.0, 0.5], [-1.0, 1.0, 0.0]])).requires_grad_()
    target = torch.tensor([1, 1])
    assert_equal(lambda x: cross_entropy(x, target), lambda x: F.cross_entropy(x, target), [x], 1e-6)


def test_an_impossible_class_that_is_not_the_target_does_no_harm() -> None:
    x = torch.tensor([[0.0, -torch.inf, 1.0]], requires_grad=True)
    target = torch.tensor([0])
    assert_equal(lambda x: cross_entropy(x, target), lambda x: F.cross_entropy(x, target), [x], 1e-6)


def test_of_no_samples_is_no_number_as_in_pytorch() -> None:
    x, target = random(0, 3), torch.zeros(0, dtype=torch.int64)
    loss = cross_entropy(x, target)
    assert loss.isnan()
    assert torch.autograd.grad(loss, x)[0].shape == (0, 3)


def test_under_autocast_it_is_float32() -> None:
    x = torch.randn(4, 3, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        loss = cross_entropy(x, torch.tensor([0, 1, 2, 0]))
    loss.backward()
    assert loss.dtype == torch.float32
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16


def test_memory_layouts() -> None:
    target = torch.tensor([0, 3, 1])
    assert_equal(
        lambda x: cross_entropy(x.T[::2], target),
        lambda x: F.cross_entropy(x.T[::2], target),
        [random(4, 6)],
        TOLERANCE,
    )


@pytest.mark.parametrize(
    ("shape", "target", "smoothing", "error", "message"),
    [
        ((2, 3), [0, 3], 0.0, IndexError, "target 3 is not one of the 3 classes, 0 to 2"),
        ((2, 3), [0, -1], 0.0, IndexError, "target -1"),
        ((2, 3), [0], 0.0, ValueError, r"got \(2, 3\) and \(1,\)"),
        ((3,), [0], 0.0, ValueError, r"got \(3,\)"),
        ((2, 3), [0.0, 1.0], 0.0, RuntimeError, r"got torch.float32 of shape \(2,\)"),
        (
            (2, 3),
            [[0, 1, 2], [0, 1, 2]],
            0.0,
            RuntimeError,
            "expects probabilities, .* got torch.int64",
        ),
        ((2, 3), [0, 1], 1.5, RuntimeError, "between 0 and 1, got 1.5"),
        ((), 0, 0.0, ValueError, r"got \(\) and \(\)"),
        ((2, 3, 4), [[0, 1, 2], [0, 1, 2]], 0.0, ValueError, r"got \(2, 3, 4\) and \(2, 3\)"),
    ],
)
def test_wrong_arguments_are_named(
    shape: tuple[int, ...], target: Any, smoothing: float, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cross_entropy(torch.zeros(shape), torch.tensor(target), label_smoothing=smoothing)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"weight": 0.1}, TypeError, "got 0.1; for label smoothing write label_smoothing=0.1"),
        ({"weight": torch.ones(4)}, RuntimeError, r"of shape \(3,\), got \(4,\)"),
        ({"weight": torch.ones(3).double()}, RuntimeError, "torch.float32, got torch.float64"),
        ({"weight": torch.ones(3, requires_grad=True)}, RuntimeError, "requires grad"),
        ({"reduction": "median"}, ValueError, "got 'median'"),
        ({"ignore_index": 1.5}, TypeError, "ignore_index must be an int, got 1.5"),
        (
            {"size_average": False},
            NotImplementedError,
            "size_average=False out",
        ),
        ({"reduce": True}, NotImplementedError, "reduce=True out: .* write reduction='mean'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]), **options)


def test_a_class_to_ignore_is_refused_where_targets_are_probabilities() -> None:
    for ignore_index in (0, 1):
        with pytest.raises(RuntimeError, match=f"got ignore_index={ignore_index}"):
            cross_entropy(torch.zeros(2, 3), torch.zeros(2, 3), ignore_index=ignore_index)
    assert cross_entropy(torch.zeros(2, 3), torch.zeros(2, 3), ignore_index=-1) == 0


@pytest.mark.parametrize("wanted", list(product([False, True], repeat=3))[1:], ids=str)
def test_the_gradients_that_are_asked_for(wanted: tuple[bool, bool, bool]) -> None:
    tensors = [random(4, 3), random(4, 3), random(3)]
    for tensor, needed in zip(tensors, wanted, strict=True):
        tensor.requires_grad_(needed)
    assert_equal(cross_entropy, F.cross_entropy, tensors, TOLERANCE)
    cross_entropy(*tensors).backward()
    assert tuple(tensor.grad is not None for tensor in tensors) == wanted


SHAPES = [(4, 3), (3,), (2, 3, 2, 5), (0, 3), (2, 3, 0), (5, 1)]


def targets(kind: str, shape: tuple[int, ...]) -> tuple[Tensor, int]:
    """Targets for logits of a shape, and the class to ignore, which the first is, or all are."""
    if kind == "probabilities":
        return torch.rand(shape, dtype=torch.float64, requires_grad=True), -100
    classes, ignored = shape[min(1, len(shape) - 1)], 1 if kind == "class ignored" else -100
    drawn = torch.randint(classes, (shape[:1] if len(shape) > 1 else ()) + shape[2:])
    if kind == "all ignored":
        return torch.full_like(drawn, ignored), ignored
    if kind != "classes":
        drawn.view(-1)[:1] = ignored
    return drawn, ignored


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "kind", ["classes", "class ignored", "no class ignored", "all ignored", "probabilities"]
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_setting_equals_pytorch(
    shape: tuple[int, ...], kind: str, weighted: bool, label_smoothing: float, reduction: Any
) -> None:
    """Output and each gradient, of the target and the weight too where PyTorch has them."""
    target, ignore_index = targets(kind, shape)
    num_classes = shape[min(1, len(shape) - 1)]
    weight = torch.rand(num_classes, dtype=torch.float64, requires_grad=kind == "probabilities")
    options: dict[str, Any] = {
        "ignore_index": ignore_index,
        "reduction": reduction,
        "label_smoothing": label_smoothing,
    }
    x = random(*shape)
    if x.numel() > 3:
        x.data.view(-1)[[1, -1]] = -torch.inf
    for logits in (x, x.detach().clone().nan_to_num(neginf=-2.0).requires_grad_()):
        inputs = [logits, target, weight if weighted else None]
        results = []
        for function in (cross_entropy, F.cross_entropy):
            z = function(*inputs, **options)
            sources = [tensor for tensor in inputs if tensor is not None and tensor.requires_grad]
            results.append((z, *torch.autograd.grad(z.sum(), sources)))
        torch.testing.assert_close(*results, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_what_is_no_finite_number_is_as_in_pytorch(value: float) -> None:
    x = torch.randn(4, 3, dtype=torch.float64)
    x[0], x[1, 1], x[2, 0] = value, value, -torch.inf
    x.requires_grad_()
    target = torch.tensor([0, 1, 2, -100])
    for options in ({}, {"label_smoothing": 0.1}, {"reduction": "none"}):
        results = []
        for function in (cross_entropy, F.cross_entropy):
            z = function(x, target, **options)
            results.append((z, torch.autograd.grad(z.sum(), x)[0]))
        torch.testing.assert_close(*results, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


@pytest.mark.parametrize("input_dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("target_dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_dtypes_of_probabilities_are_promoted(
    input_dtype: torch.dtype, target_dtype: torch.dtype
) -> None:
    x = torch.randn(4, 3).to(input_dtype).requires_grad_()
    target = torch.rand(4, 3).to(target_dtype).requires_grad_()
    weight = torch.tensor([1, 2, 3])
    for context in (torch.autocast("cpu", torch.bfloat16, enabled=on) for on in (False, True)):
        with context:
            ours, theirs = (f(x, target, weight) for f in (cross_entropy, F.cross_entropy))
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=0.02, atol=0.02)
        grads = torch.autograd.grad(ours, [x, target])
        assert [grad.dtype for grad in grads] == [input_dtype, target_dtype]


def test_classes_in_a_byte() -> None:
    x, target = random(2, 3, 4), torch.randint(3, (2, 4))
    assert torch.equal(cross_entropy(x, target.byte()), cross_entropy(x, target))


@pytest.mark.parametrize("label_smoothing", [-1.0, -0.1, 1.1, float("nan")])
def test_label_smoothing_is_a_share(label_smoothing: float) -> None:
    with pytest.raises(RuntimeError, match=f"between 0 and 1, got {label_smoothing}"):
        cross_entropy(torch.zeros(2, 3), torch.tensor([0, 2]), label_smoothing=label_smoothing)


def test_integers_are_refused_but_for_the_classes() -> None:
    with pytest.raises(RuntimeError, match=r"not defined for torch\.int64"):
        cross_entropy(torch.zeros(2, 3, dtype=torch.int64), torch.tensor([0, 2]))
    with pytest.raises(RuntimeError, match=r"class indices .* got torch\.int32 of shape \(2,\)"):
        cross_entropy(torch.zeros(2, 3), torch.tensor([0, 2], dtype=torch.int32))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # as forward mode loads
def test_the_tangent_of_a_row_that_does_not_count() -> None:
    x, t = torch.tensor([[torch.inf, 0.0], [1.0, 2.0]]), torch.tensor([-100, 1])
    results = [
        torch.func.jvp(lambda x, f=f: f(x, t), (x,), (torch.ones(2, 2),))
        for f in (cross_entropy, F.cross_entropy)
    ]
    torch.testing.assert_close(*results)


def test_a_wrong_class_in_a_batch() -> None:
    with pytest.raises(RuntimeError, match="out of bounds"):
        torch.vmap(cross_entropy)(torch.randn(2, 2, 3), torch.tensor([[0, 5], [1, 1]]))


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_probabilities_of_no_classes(reduction: Any) -> None:
    x = torch.zeros(2, 0)
    ours, theirs = (
        f(x, x, reduction=reduction, label_smoothing=0.1) for f in (cross_entropy, F.cross_entropy)
    )
    assert torch.equal(ours, theirs)
