"""The learning rate, step by step."""

from __future__ import annotations

from math import cos, pi


def learning_rate_factor(step: int, steps: int, schedule: str, warmup: float) -> float:
    """What the learning rate is multiplied by at a step.

    It rises in equal steps during the warm-up, is 1 at the first step after, and falls so that it would
    be 0 after the last: in equal steps (``"linear"``; Page, *How to train your ResNet*, 2018) or along
    half a wave (``"cosine"``; Loshchilov and Hutter, *SGDR*, 2017). ``"constant"`` does not fall.

    Args:
        step: number of steps before this one.
        steps: of the whole training.
        schedule: ``"constant"``, ``"linear"`` or ``"cosine"``.
        warmup: share of the steps that the warm-up takes.

    Returns:
        A factor from 0 to 1.

    Example:
        >>> [round(learning_rate_factor(step, 6, "linear", 0.3), 2) for step in range(6)]
        [0.33, 0.67, 1.0, 0.75, 0.5, 0.25]
    """
    rise = round(warmup * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    passed = (step - rise) / max(steps - rise, 1)
    fall = {"constant": 0.0, "linear": passed, "cosine": (1 - cos(pi * passed)) / 2}
    return 1 - fall[schedule]
