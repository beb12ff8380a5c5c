"""Which arrangement is chosen for which convolution, and that each is the formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import grad

from ansnet.functional import conv2d, plain_sums
from ansnet.functional.arrangements import grouped, patches, side_by_side, winograd

LAST = torch.channels_last
FORMATS = [torch.contiguous_format, LAST]
FUNCTIONS = [
    (winograd, "convolve"),
    (winograd, "input_gradient"),
    (winograd, "weight_gradient"),
    (side_by_side, "convolve"),
    (side_by_side, "input_gradient"),
    (side_by_side, "weight_gradient"),
    (grouped, "input_gradient"),
    (grouped, "weight_gradient"),
    (patches, "weight_gradient"),
    (patches, "weight_gradient_of_rows"),
]
HALF = torch.bfloat16
THREE = {"padding": 1}

# x's shape, w's, options, the dtype, and what is chosen in channels-last memory: z, w̄, x̄
SETTINGS = [
    ((4, 256, 16, 16), (256, 256, 3, 3), THREE, None, "winograd winograd winograd"),
    ((1, 512, 7, 7), (512, 512, 3, 3), THREE, None, "- - -"),
    ((2, 64, 13, 15), (64, 64, 3, 3), {"padding": (1, 0)}, None, "- winograd -"),
    ((9, 256, 2, 2), (256, 256, 3, 3), THREE, None, "side_by_side - side_by_side"),
    ((9, 6, 3, 4), (4, 3, 2, 3), {"padding": 1, "groups": 2}, None, "side_by_side - side_by_side"),
    ((9, 6, 4, 3), (4, 6, 2, 2), {"dilation": 2}, None, "side_by_side patches side_by_side"),
    ((9, 16, 7, 5), (32, 16, 3, 2), {"padding": 1}, HALF, "side_by_side side_by_side side_by_side"),
    ((9, 6, 1, 1), (4, 6, 3, 3), THREE, None, "- - -"),
    ((9, 1, 4, 4), (4, 1, 3, 3), THREE, None, "- - side_by_side"),
    ((150, 16, 9, 6), (16, 16, 3, 3), THREE, HALF, "- side_by_side -"),
    ((2, 3, 17, 16), (8, 3, 3, 3), THREE, None, "- patches -"),
    (
        (2, 4, 40, 50),
        (6, 4, 5, 2),
        {"stride": (2, 3), "padding": 3, "dilation": (2, 1)},
        None,
        "- patches -",
    ),
    ((3, 20, 9, 9), (24, 20, 3, 3), {"stride": 2, "padding": 1}, None, "- patches -"),
    ((3, 20, 9, 9), (24, 5, 3, 3), {"padding": 1, "groups": 4}, HALF, "- patches grouped"),
    ((3, 20, 9, 9), (24, 5, 3, 3), {"padding": 1, "groups": 4}, None, "- - grouped"),
    ((3, 20, 9, 9), (20, 1, 3, 3), {"padding": 1, "groups": 20}, None, "- grouped grouped"),
    ((3, 20, 9, 8), (20, 1, 7, 7), {"padding": 3, "groups": 20}, HALF, "- grouped grouped"),
    (
        (3, 20, 9, 8),
        (20, 1, 3, 2),
        {"padding": (3, 1), "dilation": (1, 2), "groups": 20},
        None,
        "- grouped -",  # more padding than the window reaches over the image
    ),
    ((3, 20, 9, 8), (20, 1, 3, 2), {"stride": (2, 1), "groups": 20}, None, "- grouped -"),
    ((3, 8, 9, 8), (6, 8, 3, 2), {"stride": (3, 2)}, None, "- weight_gradient_of_rows -"),
    ((3, 8, 9, 8), (6, 8, 1, 1), {}, HALF, "- weight_gradient_of_rows -"),
]
# with groups, and for images of one element, PyTorch's conv2d multiplies by the border's zeros itself
WITHOUT_GROUPS = [one for one in SETTINGS if "groups" not in one[2] and one[0][2] > 1]


def made(setting: Any, memory_format: torch.memory_format) -> list[Tensor]:
    """The x, w and z̄ of a setting, in its dtype or float64, and z̄'s of the shape of z."""
    shape_of_x, shape_of_w, options, dtype, _ = setting
    torch.manual_seed(0)
    x, w = torch.randn(shape_of_x, dtype=torch.float64), torch.randn(shape_of_w, dtype=torch.float64)
    grad_z = torch.randn_like(F.conv2d(x, w, **options))
    return [
        tensor.to(dtype or torch.float64).contiguous(memory_format=memory_format)
        for tensor in (x, w, grad_z)
    ]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_each_is_the_formula(setting: Any, memory_format: torch.memory_format) -> None:
    """In float64; in half precision as near to it as numbers of that precision are."""
    x, w, grad_z = made(setting, memory_format)
    options, half = setting[2], setting[3] is not None
    inputs = x.requires_grad_(), w.requires_grad_()
    z = conv2d(x, w, **options)
    assert z.stride() == F.conv2d(x, w, **options).stride()  # as PyTorch chooses it
    exact = [tensor.detach().double().requires_grad_() for tensor in (x, w)]
    reference = F.conv2d(*exact, **options)
    ours = z, *grad(z, inputs, grad_z)
    theirs = reference, *grad(reference, exact, grad_z.double())
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == x.dtype
        error = (one.double() - other).norm() / other.norm()
        assert error < (2**-8 if half else 1e-12)  # of one rounding, 2⁻⁹ at most, and not of many


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("setting", WITHOUT_GROUPS, ids=str)
def test_what_is_not_finite_meets_no_border(setting: Any, value: float) -> None:
    """Outside of x is nothing that it is multiplied by: w̄ is a number where PyTorch's is."""
    x, w, grad_z = (tensor.to(setting[3] or torch.float32) for tensor in made(setting, LAST))
    grad_z[0, 0, 0, 0] = value
    ours, theirs = (
        grad(function(x, w.requires_grad_(), **setting[2]), w, grad_z)[0].isfinite()
        for function in (conv2d, F.conv2d)
    )
    assert not (theirs & ~ours).any()
    assert not ours.all()


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_what_is_chosen(setting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = choices(setting, monkeypatch)
    assert chosen == setting[4].split()


@pytest.mark.parametrize("setting", SETTINGS[:8], ids=str)
def test_plain_sums_choose_none_but_patches(setting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with plain_sums():
        assert set(choices(setting, monkeypatch)) <= {"-", "patches"}


@pytest.mark.parametrize("setting", SETTINGS[:8], ids=str)
def test_second_derivatives_choose_none_but_rows(setting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choices(setting, monkeypatch, create_graph=True)[1:] == ["-", "-"]


def choices(setting: Any, monkeypatch: pytest.MonkeyPatch, create_graph: bool = False) -> list[str]:
    """What z, w̄ and x̄ are computed by: an arrangement's module, or the function for rows, or "-"."""
    noted: list[str] = []

    def note(module: Any, name: str) -> None:
        function: Callable[..., Tensor] = getattr(module, name)
        of_rows = name == "weight_gradient_of_rows"

        def noting(*arguments: Any) -> Tensor:
            noted.append(name if of_rows else module.__name__.rpartition(".")[2])
            return function(*arguments)

        monkeypatch.setattr(module, name, noting)

    for module, name in FUNCTIONS:
        note(module, name)
    x, w, grad_z = made(setting, torch.channels_last)
    found = []
    for tensor in (w, x):
        noted.clear()
        tensor.requires_grad_()
        z = conv2d(x, w, **setting[2])
        found += [] if found else [noted[0] if noted else "-"]
        noted.clear()
        grad(z, tensor, grad_z, create_graph=create_graph)
        found.append(noted[0] if noted else "-")
        tensor.requires_grad_(False)
    return found
