"""How a tool is asked."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import random
import warnings
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import torch

from ansnet.models import torch_twin
from tests.tools.networks import build
from tests.tools.tool import Tool


def respond(tool: Tool, name: str, about: str) -> Any:
    """The answer about a network: ``"ansnet"``, its ``"twin"``, or by the ``"way round"``."""
    if not tool.alone:
        return ask(tool, name, about)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(ask_here, tool.name, tool.asked, name, about).result()


def ask_here(tool_name: str, asked: str, name: str, about: str) -> Any:
    """In another process the tool goes by its name, since questions cannot be pickled."""
    from tests.tools.catalogue import all_tools

    (tool,) = [tool for tool in all_tools() if (tool.name, tool.asked) == (tool_name, asked)]
    return ask(tool, name, about)


def ask(tool: Tool, name: str, about: str) -> Any:
    """Ask, from the same seeds each time, without what the tool prints and warns of."""
    network = build(name, tool.dtype)
    question = tool.ask_round if about == "way round" and tool.ask_round else tool.ask
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    silent = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(silent),
        contextlib.redirect_stderr(silent),
    ):
        warnings.simplefilter("ignore")
        return question(torch_twin(network) if about == "twin" else network)
