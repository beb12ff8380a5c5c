"""How a tool is asked."""

from __future__ import annotations

import contextlib
import io
import random
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ansnet.models import torch_twin
from tests.tools.answers import error_text
from tests.tools.networks import build
from tests.tools.tool import Tool

ROOT = Path(__file__).parents[2]


class ToolError(Exception):
    """What a tool has raised in a process of its own, as text."""


def respond(tool: Tool, name: str, about: str) -> Any:
    """The answer about a network: ``"ansnet"``, its ``"twin"``, or by the ``"way round"``."""
    if not tool.alone:
        return ask(tool, name, about)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "answer")
        question = tool.name, tool.asked, name, about, str(file)
        subprocess.run(
            [sys.executable, "-W", "ignore", "-m", __name__, *question], check=True, cwd=ROOT
        )
        answer = torch.load(file, weights_only=False)
    if isinstance(answer, ToolError):
        raise answer
    return answer


def answer_to_file(tool_name: str, asked: str, name: str, about: str, file: str) -> None:
    """In another process, which the tool may leave as it likes."""
    from tests.tools.catalogue import all_tools

    (tool,) = [tool for tool in all_tools() if (tool.name, tool.asked) == (tool_name, asked)]
    try:
        answer = ask(tool, name, about)
    except Exception as error:
        answer = ToolError(error_text(error))
    torch.save(answer, file)


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


if __name__ == "__main__":
    answer_to_file(*sys.argv[1:])
