"""Mean and deviation of a figure over runs, of which some may have diverged."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan
from statistics import stdev


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample, over n − 1; not a number where one of them is none.

    ``statistics.stdev`` of Python 3.11 ends in an AttributeError for a figure that is not finite.

    Raises:
        StatisticsError: there are fewer than two.

    Example:
        >>> deviation([1.0, 3.0]), deviation([1.0, float("inf")])
        (1.4142135623730951, nan)
    """
    return stdev(values) if all(map(isfinite, values)) else nan
