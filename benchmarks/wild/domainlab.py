"""Gradient reversal of DomainLab."""

from __future__ import annotations

from wild.entry import Wild
from wild.shared.reversal import reversal

REQUIREMENT = "domainlab==0.7.1"


def functions() -> list[Wild]:
    """The two Functions that multiply a gradient, one of them with a minus sign."""
    from domainlab.compos.nn_zoo import net_adversarial

    return [
        reversal(
            f"domainlab.compos.nn_zoo.net_adversarial:{name}",
            getattr(net_adversarial, name).apply,
            sign=sign,
        )
        for name, sign in (("AutoGradFunReverseMultiply", -1), ("AutoGradFunMultiply", 1))
    ]
