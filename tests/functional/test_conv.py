"""`ansnet.functional.conv`: the formulas against numerical differentiation and against PyTorch."""

from __future__ import annotations

import random as python_random
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F

from ansnet.functional import Conv2d, conv2d
from ansnet.functional.arrangements import patches
from tests.functional.comparison import assert_differentiable, assert_equal, random

# Sums of up to some hundred products of normal numbers, in another order than PyTorch's: the
# rounding of float64 (1e-16 a step) stays below this by three digits.
TOLERANCE = 1e-10


class Case(NamedTuple):
    """A setting; sizes, stride, padding and dilation are (height, width)."""

    batch: int
    channels: int
    filters: int
    groups: int
    image: tuple[int, int]
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def remainders(self) -> list[int]:
        """Output padding O in each dimension."""
        return [
            (M + 2 * P - D * (K - 1) - 1) % S
            for M, K, S, P, D in zip(
                self.image, self.window, self.stride, self.padding, self.dilation, strict=True
            )
        ]

    def weight_gradient_excess(self) -> list[int]:
        """Rows and columns by which the weight gradient's convolution exceeds the window."""
        return [O // D for O, D in zip(self.remainders(), self.dilation, strict=True)]  # noqa: E741

    def tensors(self) -> list[torch.Tensor]:
        return [
            random(self.batch, self.channels, *self.image),
            random(self.filters, self.channels // self.groups, *self.window),
            random(self.filters),
        ]

    def hyperparameters(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }


def draw_cases(count: int) -> list[Case]:
    """Settings drawn from a seed, all different, rectangular as a rule."""
    draw = python_random.Random(0)
    cases: dict[Case, None] = {}
    while len(cases) < count:
        groups = draw.choice([1, 1, 2, 3])
        window, stride, padding, dilation = (
            (draw.randint(low, high), draw.randint(low, high))
            for low, high in ((1, 4), (1, 4), (0, 3), (1, 3))
        )
        smallest = [
            max(1, D * (K - 1) + 1 - 2 * P) for K, P, D in zip(window, padding, dilation, strict=True)
        ]
        image = (smallest[0] + draw.randint(0, 6), smallest[1] + draw.randint(0, 6))
        channels, filters = groups * draw.randint(1, 3), groups * draw.randint(1, 3)
        cases[
            Case(
                draw.randint(1, 3), channels, filters, groups, image, window, stride, padding, dilation
            )
        ] = None
    return list(cases)


CASES = draw_cases(240)


def test_the_cases_reach_every_corner_of_the_formulas() -> None:
    assert sum(max(case.remainders()) > 0 for case in CASES) >= 50
    assert sum(max(case.weight_gradient_excess()) > 0 for case in CASES) >= 50
    assert sum(case.groups > 1 for case in CASES) >= 50
    assert sum(case.image[0] != case.image[1] for case in CASES) >= 50
    assert sum(case.stride[0] != case.stride[1] for case in CASES) >= 50


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{CASES.index(case)}")
def test_equals_pytorch(case: Case) -> None:
    def ours(x: Any, w: Any, b: Any) -> torch.Tensor:
        return conv2d(x, w, b, **case.hyperparameters())

    def theirs(x: Any, w: Any, b: Any) -> torch.Tensor:
        return F.conv2d(x, w, b, **case.hyperparameters())

    assert_equal(ours, theirs, case.tensors(), TOLERANCE)


@pytest.mark.parametrize(
    ("hyperparameters", "image"),
    [
        ({}, (5, 4)),
        ({"stride": 2}, (6, 5)),
        ({"stride": (3, 2), "padding": (0, 1)}, (7, 4)),
        ({"padding": 2}, (3, 3)),
        ({"dilation": (2, 1)}, (6, 5)),
        ({"stride": 2, "padding": 1, "dilation": 2}, (6, 5)),
        ({"groups": 2}, (4, 3)),
        ({"stride": (2, 3), "padding": (1, 2), "dilation": (1, 2), "groups": 2}, (5, 6)),
        ({"padding": "same"}, (4, 3)),
        ({"padding": "same", "dilation": (1, 3)}, (3, 4)),
        ({"padding": "valid"}, (4, 3)),
    ],
    ids=str,
)
def test_gradients(hyperparameters: dict[str, Any], image: tuple[int, int]) -> None:
    groups = hyperparameters.get("groups", 1)
    tensors = [random(2, 4, *image), random(2, 4 // groups, 3, 2), random(2)]
    assert_differentiable(lambda x, w, b: conv2d(x, w, b, **hyperparameters), tensors)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch's own advice
@pytest.mark.parametrize("window", [(3, 3), (2, 3), (4, 1), (1, 2)])
@pytest.mark.parametrize("dilation", [1, 2, (1, 3)])
def test_padding_by_name(window: tuple[int, int], dilation: Any) -> None:
    tensors = [random(2, 3, 7, 8), random(4, 3, *window), random(4)]
    for padding in ("same", "valid"):
        assert_equal(
            lambda x, w, b, padding=padding: conv2d(x, w, b, padding=padding, dilation=dilation),
            lambda x, w, b, padding=padding: F.conv2d(x, w, b, padding=padding, dilation=dilation),
            tensors,
            TOLERANCE,
        )


def channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "view",
    [
        channels_last,
        lambda x: x.transpose(2, 3),
        lambda x: x[..., ::2],
        lambda x: x.flip(3),
        lambda x: x[:, :1].expand(-1, 3, -1, -1),
    ],
    ids=["channels_last", "transposed", "strided", "flipped", "expanded"],
)
def test_memory_layouts(view: Any) -> None:
    assert_equal(
        lambda x, w, b: conv2d(view(x), w, b, stride=2, padding=1),
        lambda x, w, b: F.conv2d(view(x), w, b, stride=2, padding=1),
        [random(2, 3, 6, 6), random(4, 3, 3, 3), random(4)],
        TOLERANCE,
    )


def test_channels_last_stays_channels_last() -> None:
    z = conv2d(channels_last(random(2, 3, 6, 6)), random(4, 3, 3, 3), padding=1)
    assert z.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(0, 3, 5, 5), (1, 3, 5, 5), (3, 5, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_batches_of_none_of_one_and_no_batch(shape: tuple[int, ...], bias: bool) -> None:
    tensors = [random(*shape), random(4, 3, 3, 3), random(4) if bias else None]
    assert_equal(conv2d, F.conv2d, tensors, TOLERANCE)


def test_one_by_one_image() -> None:
    tensors = [random(2, 3, 1, 1), random(4, 3, 3, 3), random(4)]
    assert_equal(
        lambda *tensors: conv2d(*tensors, padding=1),
        lambda *tensors: F.conv2d(*tensors, padding=1),
        tensors,
        TOLERANCE,
    )


@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
def test_what_nobody_asked_for_is_neither_kept_nor_computed(wanted: tuple[bool, bool]) -> None:
    x, w = (random(2, 3, 5, 5), random(4, 3, 3, 3))
    x.requires_grad_(wanted[0])
    w.requires_grad_(wanted[1])
    z = conv2d(x, w)
    (saved,) = z.grad_fn.saved_tensors  # and no None: graphs are drawn of what is saved
    assert saved is (w if wanted[0] else x)
    z.sum().backward()
    assert (x.grad is not None, w.grad is not None) == wanted


@pytest.mark.parametrize("groups", [1, 2])
def test_the_bias_alone_may_be_asked_for(groups: int) -> None:
    x, w, b = random(2, 4, 5, 5).detach(), random(4, 4 // groups, 3, 3).detach(), random(4)
    conv2d(x, w, b, groups=groups).sum().backward()
    assert b.grad is not None
    assert b.grad.tolist() == [18, 18, 18, 18]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_dtypes_are_pytorchs(dtype: torch.dtype) -> None:
    tensors = [random(2, 3, 5, 5, dtype=torch.float32), random(4, 3, 3, 3, dtype=torch.float32)]
    results = []
    for function in (conv2d, F.conv2d):
        with torch.autocast("cpu", dtype):
            z = function(*tensors)
        results.append([z, *torch.autograd.grad(z.float().square().sum(), tensors)])
    for ours, theirs in zip(*results, strict=True):
        assert ours.dtype == theirs.dtype
        # 27 products and as many roundings to 8 (bfloat16) bits, in another order
        torch.testing.assert_close(ours.float(), theirs.float(), atol=0.1, rtol=0.05)


@pytest.mark.parametrize(
    ("shapes", "hyperparameters", "error", "message"),
    [
        (((2, 4, 5, 5), (6, 3, 3, 3)), {}, RuntimeError, "has 4 channels.*expects 3"),
        (((2, 4, 5, 5), (6, 2, 3, 3)), {"groups": 4}, RuntimeError, "6 filters, got groups=4"),
        (((2, 4, 5, 5), (6, 4, 3, 3)), {"groups": 0}, RuntimeError, "groups=0"),
        (((2, 4, 2, 5), (6, 4, 3, 3)), {}, RuntimeError, "window is 3 x 3, larger .* 2 x 5"),
        (((2, 4, 5, 5), (6, 4, 3, 3)), {"dilation": 3}, RuntimeError, "window is 7 x 7"),
        (((2, 4, 2, 3), (6, 4, 5, 6)), {"padding": 1}, RuntimeError, "is 5 x 6, larger .* 4 x 5"),
        (((2, 4, 9, 3), (6, 4, 3, 2)), {"dilation": (1, 3)}, RuntimeError, "is 3 x 4, larger .* 9 x 3"),
        (((2, 4, 5, 5), (6, 4, 3, 3)), {"groups": 1.5}, TypeError, "groups must be an int, got 1.5"),
        (((4, 5), (6, 4, 3, 3)), {}, RuntimeError, r"got \(4, 5\)"),
        (((2, 4, 5, 5), (6, 4, 3, 3), (5,)), {}, RuntimeError, r"shape \(6,\), got \(5,\)"),
        (((2, 4, 5, 5), (6, 4, 3, 3)), {"stride": 0}, RuntimeError, "stride must be at least 1, got 0"),
        (((2, 4, 5, 5), (6, 4, 3, 3)), {"padding": -1}, RuntimeError, "padding must be at least 0"),
        (((2, 4, 5, 5), (6, 4, 3, 3)), {"dilation": (1, 2, 3)}, RuntimeError, "got \\(1, 2, 3\\)"),
        (((2, 4, 5, 5), (6, 4, 3, 3)), {"stride": 1.5}, TypeError, "stride must be an int.*1.5"),
        (((2, 4, 5, 5), (6, 4, 3, 3)), {"padding": "same", "stride": 2}, RuntimeError, "stride 1"),
        (((2, 4, 5, 5), (6, 4, 3, 3)), {"padding": "full"}, ValueError, "got 'full'"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(
    shapes: Any, hyperparameters: dict[str, Any], error: type[Exception], message: str
) -> None:
    tensors = [torch.zeros(shape) for shape in shapes]
    with pytest.raises(error, match=message):
        conv2d(*tensors, **hyperparameters)
    with pytest.raises((error, RuntimeError)):
        F.conv2d(*tensors, **hyperparameters)


def test_an_image_whose_patches_are_more_than_one_product_takes() -> None:
    x, w = random(2, 16, 64, 66), random(3, 16, 3, 3)
    assert patches.PATCH_ELEMENTS < 16 * 9 * 62 * 64
    assert_equal(conv2d, F.conv2d, [x, w], TOLERANCE)


def test_the_function_itself_takes_pairs() -> None:
    x, w = random(1, 2, 4, 4), random(3, 2, 2, 2)
    z = Conv2d.apply(x, w, None, (2, 1), (0, 1), (1, 1), 1)
    torch.testing.assert_close(z, F.conv2d(x, w, None, (2, 1), (0, 1)))


@pytest.mark.parametrize(
    ("image", "window", "options"),
    [
        ((64, 64), (3, 3), {"stride": 64}),
        ((16, 15), (2, 3), {"stride": (5, 7), "padding": 1}),
        ((17, 17), (3, 3), {"stride": 11, "padding": 4, "dilation": 2}),
        ((1, 1), (1, 1), {"stride": 9, "padding": 4}),  # the one window lies in the padding
        ((6, 8), (1, 1), {"stride": 2}),
        ((7, 9), (3, 2), {"stride": (9, 1), "padding": (1, 0)}),  # apart in one direction only
        ((9, 9), (3, 3), {"stride": 3, "groups": 2}),
    ],
)
def test_windows_that_stand_apart(
    image: tuple[int, int], window: tuple[int, int], options: dict[str, Any]
) -> None:
    channels = 4 // options.get("groups", 1)
    tensors = [random(2, 4, *image), random(6, channels, *window), random(6)]
    assert_equal(
        lambda *t: conv2d(*t, **options), lambda *t: F.conv2d(*t, **options), tensors, TOLERANCE
    )


def test_the_weight_gradient_computes_no_more_than_it_gives() -> None:
    x, w = (
        torch.randn(1, 2, 40, 50),
        torch.randn(6, 1, 3, 3, requires_grad=True),
    )  # in groups, and so by the formula itself
    sizes: list[torch.Size] = []
    z = conv2d(x, w, stride=(17, 19), padding=1, dilation=2, groups=2)

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            if func is torch.ops.aten.convolution.default:
                sizes.append(result.shape)
            return result

    with Watch():
        torch.autograd.grad(z, w, torch.ones_like(z))
    assert sizes == [(1, 6, 3, 3)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_without_input_channels_it_is_pytorchs(groups: int, bias: bool) -> None:
    tensors = [random(2, 0, 5, 4), random(4, 0, 3, 2), random(4) if bias else None]
    assert_equal(
        lambda *t: conv2d(*t, 2, 1, groups=groups),
        lambda *t: F.conv2d(*t, 2, 1, groups=groups),
        tensors,
        TOLERANCE,
    )


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_second_derivatives_of_no_images(index: int, groups: int) -> None:
    second = []
    for function in (conv2d, F.conv2d):
        tensors = [random(0, 4, 5, 4), random(6, 4 // groups, 3, 2), random(6)]
        z = function(*tensors, stride=2, groups=groups)
        grad_z = torch.ones_like(z).requires_grad_()
        (first,) = torch.autograd.grad(z, tensors[index], grad_z, create_graph=True)
        of = [*tensors, grad_z]
        second.append(torch.autograd.grad(first.sum(), of, allow_unused=True, materialize_grads=True))
    for ours, theirs in zip(*second, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("images_at_once", [1, 2, 5, 9])
def test_patches_of_a_few_images_at_a_time(
    monkeypatch: pytest.MonkeyPatch, images_at_once: int
) -> None:
    x, w = random(5, 2, 18, 18), random(3, 2, 3, 3)
    monkeypatch.setattr(patches, "PATCH_ELEMENTS", images_at_once * 2 * 9 * 16 * 16)
    assert_equal(conv2d, F.conv2d, [x, w], TOLERANCE)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("channels", "image", "options"),
    [(4, 5, {}), (3, 16, {"padding": 1}), (64, 12, {"padding": 1}), (4, 9, {"stride": 3})],
    ids=["formula", "patches", "Winograd", "rows"],
)
def test_the_weight_gradient_lies_in_memory_as_the_weight_does(
    channels: int, image: int, options: dict[str, Any], memory_format: torch.memory_format
) -> None:
    x = torch.randn(2, channels, image, image)
    w = torch.randn(64, channels, 3, 3).contiguous(memory_format=memory_format).requires_grad_()
    (grad_w,) = torch.autograd.grad(conv2d(x, w, **options).sum(), w)
    assert grad_w.is_contiguous(memory_format=memory_format)
