"""`ansnet.training.evaluation`, by hand."""

from __future__ import annotations

from math import isnan, log

import pytest
import torch
from torch import Tensor, nn

from ansnet.training.evaluation import calibration_error, computing_in, evaluate, figures
from ansnet.training.views import CHOICES, other_views, scores_by_views


def test_the_figures_of_four_images() -> None:
    scores = torch.tensor([[0.75, 0.25, 0], [0.75, 0.25, 0], [0.25, 0.75, 0], [0.75, 0.25, 0]]).log()
    targets = torch.tensor([0, 1, 1, 0])
    found = figures(dict.fromkeys(CHOICES, scores), targets)
    assert found.confusion == [[2, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert found.images == 4
    assert found.accuracy == dict.fromkeys(CHOICES, 0.75)
    assert found.by_class()[:2] == [1.0, 0.5]
    assert isnan(found.by_class()[2])
    assert found.loss == pytest.approx(-(3 * log(0.75) + log(0.25)) / 4)
    assert found.confidence == pytest.approx(0.75)
    assert found.calibration_error == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("right", "error"), [(0, 0.9), (9, 0.0), (10, 0.1)])
def test_the_error_of_a_confidence_of_nine_tenths(right: int, error: float) -> None:
    probabilities = torch.tensor([[0.9, 0.1]]).expand(10, 2)
    targets = torch.tensor([0] * right + [1] * (10 - right))
    assert calibration_error(probabilities, targets) == pytest.approx(error, abs=1e-6)


def test_too_much_and_too_little_confidence_do_not_cancel() -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.6, 0.4]])
    assert calibration_error(probabilities, torch.tensor([1, 0])) == pytest.approx((0.9 + 0.4) / 2)


def test_all_views_are_added_as_when_training_ends() -> None:
    torch.manual_seed(0)
    network, images = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 6, 5)), torch.randn(4, 3, 6, 6)
    found = scores_by_views(network, images)
    for name, flip, shift in (
        ("flip", True, False),
        ("shift", False, True),
        ("flip_shift", True, True),
    ):
        expected: Tensor = network(images)
        for view, weight in other_views(images, flip, shift):
            expected = expected + weight * network(view)
        torch.testing.assert_close(found[name], expected)


def test_the_network_is_asked_in_evaluation_mode() -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(3 * 4 * 4), nn.Linear(3 * 4 * 4, 2))
    evaluate(network, [(torch.randn(3, 3, 4, 4), torch.tensor([0, 1, 1]))])
    assert not network.training
    assert network[1].num_batches_tracked == 0


@pytest.mark.parametrize(
    ("precision", "held", "is_half"),
    [
        ("32-true", torch.float32, False),
        ("64-true", torch.float64, False),
        ("bf16-true", torch.bfloat16, True),
        ("bf16-mixed", torch.float32, True),
        ("16-mixed", torch.float32, False),  # in float32, on a CPU
    ],
)
def test_scores_are_computed_in_a_runs_precision(
    precision: str, held: torch.dtype, is_half: bool
) -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(8, 64), torch.randn(64, 8)
    expected = linear(x).detach()
    scores = computing_in(precision, linear)(x)
    assert linear.weight.dtype is held
    assert scores.dtype is torch.float32
    apart = (scores - expected).abs().max().item()
    assert 1e-3 < apart < 2e-2 if is_half else apart < 1e-6
