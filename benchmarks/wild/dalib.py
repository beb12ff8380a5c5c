"""Gradient reversal of dalib."""

from __future__ import annotations

from wild.entry import Wild
from wild.shared.reversal import reversal

REQUIREMENT = "dalib==0.2"


def functions() -> list[Wild]:
    """`GradientReverseFunction`."""
    from dalib.modules import grl

    return [reversal("dalib.modules.grl:GradientReverseFunction", grl.GradientReverseFunction.apply)]
