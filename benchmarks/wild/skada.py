"""Gradient reversal of skada."""

from __future__ import annotations

from wild.entry import Wild
from wild.shared.reversal import reversal

REQUIREMENT = "skada==0.6.0"
NEEDS = (
    "scikit-learn==1.9.1",
    "joblib==1.6.0",
    "threadpoolctl==3.8.0",
    "narwhals==2.29.0",
    "skorch==1.4.0",
    "tabulate==0.10.0",
    "tqdm==4.70.1",
    "POT==0.9.7.post1",
)


def functions() -> list[Wild]:
    """`GradientReversalLayer`."""
    from skada.deep import modules

    return [reversal("skada.deep.modules:GradientReversalLayer", modules.GradientReversalLayer.apply)]
