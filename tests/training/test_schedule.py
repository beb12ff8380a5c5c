"""`ansnet.training.schedule`."""

from __future__ import annotations

import pytest

from ansnet.training.schedule import learning_rate_factor


def factors(steps: int, schedule: str, warmup: float) -> list[float]:
    return [learning_rate_factor(step, steps, schedule, warmup) for step in range(steps)]


@pytest.mark.parametrize("warmup", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("steps", [10, 1000])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_it_rises_for_its_share_and_falls_until_after_the_last_step(
    schedule: str, steps: int, warmup: float
) -> None:
    factor = factors(steps, schedule, warmup)
    peak = round(warmup * steps)
    assert factor[peak] == max(factor) == 1
    assert factor[: peak + 1] == sorted(set(factor[: peak + 1]))
    assert factor[peak:] == sorted(set(factor[peak:]), reverse=True)
    assert factor[-1] > 0
    assert learning_rate_factor(steps, steps, schedule, warmup) == pytest.approx(0)


def test_the_linear_one_changes_by_equal_steps() -> None:
    assert factors(8, "linear", 0.5) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 0.75, 0.5, 0.25])


def test_the_cosine_is_half_a_wave() -> None:
    assert factors(4, "cosine", 0) == pytest.approx([1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5])


def test_constant_is_constant() -> None:
    assert factors(5, "constant", 0) == [1] * 5


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("warmup", [0.0, 0.4, 1.0])
def test_a_single_step_has_a_learning_rate(schedule: str, warmup: float) -> None:
    assert 0 < factors(1, schedule, warmup)[0] <= 1


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_warm_up_of_all_steps_rises_to_1_after_the_last(schedule: str) -> None:
    rising = [(step + 1) / 5 for step in range(4)]
    assert factors(4, schedule, 1.0) == pytest.approx(rising)
    assert learning_rate_factor(4, 4, schedule, 1.0) == 1  # asked for once more than steps are taken
