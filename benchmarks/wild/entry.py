"""What is noted of a public Function: how to call it, what it should equal, how rows were judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ansnet.testing import Sample

Verdict = Literal["defect", "by design", "false alarm"]


@dataclass(frozen=True)
class Judgement:
    """Why rows fail, judged by hand once.

    Attributes:
        verdict: "defect": a user suffers; "by design": the package means it so, and says so
            or it follows from what the Function is for; "false alarm": the harness is wrong.
        why: what a user suffers, or why it is meant so, in a sentence.
    """

    verdict: Verdict
    why: str


def defect(why: str) -> Judgement:
    """A row that fails since the Function is wrong, or refuses what PyTorch would do."""
    return Judgement("defect", why)


def by_design(why: str) -> Judgement:
    """A row that fails since the Function is meant to be so."""
    return Judgement("by design", why)


# These compare what those do, with other numbers and in other dtypes.
FOLLOWS_FROM = {
    "uses its arguments": ("gradients", "forward"),
    "dtypes": ("gradients", "forward"),
}


@dataclass(frozen=True)
class Wild:
    """One public Function.

    Attributes:
        name: ``module:Function`` as it can be imported.
        function: what is tried: its ``apply``, or the package's own public call of it.
        samples: arguments to try it on.
        reference: the function that it should equal, in plain PyTorch; None if none is known.
        derivative: the function whose derivative it states, where that is not the function's own: of a
            straight-through or surrogate gradient.
        judged: for capabilities that fail, by name, how that was judged.
        options: further arguments of `ansnet.testing.check`.
    """

    name: str
    function: Callable[..., Any]
    samples: Sequence[Sample]
    reference: Callable[..., Any] | None = None
    derivative: Callable[..., Any] | None = None
    judged: Mapping[str, Judgement] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def judgement(self, capability: str) -> Judgement | None:
        """How a failing row was judged, or the row from whose failure its own follows; None if not."""
        for name in (capability, *FOLLOWS_FROM.get(capability, ())):
            if name in self.judged:
                return self.judged[name]
        return None
