"""What is asked of a tool, and what is known of the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import nn

from tests.tools.networks import EVERY_LAYER

Ask = Callable[[nn.Module], Any]

# what `pip install -e '.[test]'` brings, and light packages that CI installs beside it
CENTRAL = {
    "torch",
    "torchvision",
    "lightning",
    "torchmetrics",
    "tensorboard",
    "captum",
    "thop",
    "ptflops",
}


@dataclass(frozen=True)
class Tool:
    """A tool, and one question to it.

    Attributes:
        name: of the tool, as people call it.
        asked: the question, in a few words.
        ask: puts it: a network in evaluation mode to an answer of tensors, numbers and strings, in
            lists and dictionaries. The network is its own, to change as it likes.
        package: the distribution that holds the tool. Where it is absent the tool is not asked.
        networks: names in `tests.tools.networks.NETWORKS`.
        dtype: of weights and images.
        tolerance: how far tensors and numbers may be apart, relative to the largest of the twin's.
        reason: why the answer about our network is another one; empty where it is the same.
        way_round: what gives the twin's answer all the same, as a line of Python.
        ask_round: the question by the way round.
        warns: of ansnet, that the tool will be wrong about it; see `ansnet.modules.layer`.
        slow: takes more than a few seconds.
        alone: the tool leaves PyTorch changed, so it is asked in a process of its own each time.
    """

    name: str
    asked: str
    ask: Ask
    package: str
    networks: tuple[str, ...] = (EVERY_LAYER,)
    dtype: torch.dtype = torch.float64
    tolerance: float = 1e-8
    reason: str = ""
    way_round: str = ""
    ask_round: Ask | None = None
    warns: bool = False
    slow: bool = False
    alone: bool = False

    def __post_init__(self) -> None:
        if bool(self.way_round) != (self.ask_round is not None):
            raise ValueError(f"{self.name}, {self.asked}: a way round is a line and a question")
        if self.way_round and not self.reason:
            raise ValueError(f"{self.name}, {self.asked}: a way round needs a reason")

    @property
    def version(self) -> str | None:
        """Of the package; None where it is not installed."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    @property
    def central(self) -> bool:
        """Whether it is asked by the ordinary tests, too."""
        return self.package in CENTRAL and not self.slow


def tool(name: str, asked: str, package: str, **known: Any) -> Callable[[Ask], Tool]:
    """Declare the function that follows as a probe; ``known`` are further fields of `Tool`.

    Example::

        @tool("thop", "operations and parameters", "thop", reason="…", **TO_TORCH)
        def thop_profile(network):
            return thop.profile(network, (images(network),))
    """

    def declare(ask: Ask) -> Tool:
        prepare = known.pop("prepare", None)
        if prepare is not None:
            known["ask_round"] = lambda network: ask(prepare(network))
        return Tool(name, asked, ask, package, **known)

    return declare
