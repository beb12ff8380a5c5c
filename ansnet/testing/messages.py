"""An error in one line: what says most, from the lines that PyTorch and Python make of it."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

COMPILER = "torch._dynamo", "torch._inductor", "torch._export", "torch.export", "torch.fx"
LONGEST = 240  # characters of what an error says
OWN = str(Path(__file__).parent)


def summary(error: BaseException) -> str:
    """Type and message of an exception; without the matrices that gradcheck prints.

    Of an error of the compiler: what it does not support, and the line of the user's code where. Of an
    error without a message, such as a bare ``assert``'s: the line that raised it.
    """
    text = compiler_message(error)
    if text is None:
        text = " ".join(str(error).partition("numerical:")[0].split()).rstrip(",")
        text = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
    text = text or raising_line(error)
    return text if isinstance(error, AssertionError) else f"{type(error).__name__}: {text}"


def is_comparison(error: BaseException) -> bool:
    """Whether an error says that numbers are wrong: gradcheck's, or an assertion of this harness.

    An ``assert`` in the code under test is an error like any other.
    """
    if not isinstance(error, AssertionError):
        return type(error).__name__ == "GradcheckError"
    frames = traceback.extract_tb(error.__traceback__)
    return not frames or frames[-1].filename.startswith(OWN)


def raising_line(error: BaseException) -> str:
    """The line that raised an error, as ``no message, from ops.py:12: assert x.dim() == 4``."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "no message"
    frame = frames[-1]
    return f"no message, from {frame.filename}:{frame.lineno}: {frame.line}"


def compiler_message(error: BaseException) -> str | None:
    """What the compiler says of the user's code; None of any other error.

    Its messages have paragraphs: what is not supported, an explanation, hints, and after "from user
    code:" the lines that led there, of which the last that is not of this package is the user's.
    """
    if not type(error).__module__.startswith(COMPILER):
        return None
    what = re.split("from user code:|The following call raised", str(error), maxsplit=1)[0]
    code = str(error)[len(what) :]
    lines = [line.strip() for line in what.splitlines() if line.strip()]
    if not lines:
        return None
    if lines[0].endswith(":") and len(lines) > 1:
        lines[:2] = [" ".join(lines[:2])]
    told = lines[0] if len(lines[0]) <= LONGEST else f"{lines[0][:LONGEST]} …"
    explanation = next((line for line in lines if line.startswith("Explanation:")), "")
    if explanation:
        text = explanation.removeprefix("Explanation:").strip()
        told += f": {text if len(text) <= LONGEST else f'{text[:LONGEST]} …'}"
    places = re.findall(r'File "(.+)", line (\d+), in .*\n\s*(.+)', code)
    users = [place for place in places if not place[0].startswith((OWN, _torch()))]
    if users:
        file, number, line = users[-1]
        told += f" (at {file}:{number}: {line.strip()})"
    return told


def _torch() -> str:
    import torch

    return str(Path(torch.__file__).parent)
