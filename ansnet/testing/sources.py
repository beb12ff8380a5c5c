"""The source of a function under test: where a line of it is, and what it would do were it another."""

from __future__ import annotations

import ast
import inspect
import io
import os
import sysconfig
import textwrap
import tokenize
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from types import FunctionType
from typing import Any, cast

import torch

# What runs a function, but is not the function.
HARNESS = (
    str(Path(__file__).parent) + os.sep,
    str(Path(torch.__file__).parent) + os.sep,
    sysconfig.get_path("stdlib") + os.sep,
)
# ... of which this is none of the standard library's, although it may lie within
PACKAGES = f"{os.sep}site-packages{os.sep}"


@dataclass(frozen=True)
class Edit:
    """Another text for a piece of a source.

    Attributes:
        node: the piece.
        text: what stands there instead.
        shown: how the change is told, where it is not by the line that comes of it.
    """

    node: ast.expr | ast.stmt | ast.withitem
    text: str
    shown: str = ""


@dataclass(frozen=True)
class Source:
    """The source of one function, such as the backward of a Function.

    Attributes:
        function: what was compiled from it, without decorators.
        file: the path of its file.
        line: the number of its first line, decorators included.
        text: the source, without common indentation.
        tree: its syntax; lines are counted from 1 in `text`.
    """

    function: FunctionType
    file: str
    line: int
    text: str
    tree: ast.FunctionDef

    @property
    def parameters(self) -> list[str]:
        """The names of its positional parameters, a starred one at the end."""
        arguments = self.tree.args
        names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        return names + ([arguments.vararg.arg] if arguments.vararg else [])

    def place(self, node: ast.AST | None = None) -> str:
        """``file:line`` of a piece of it; without one, of its ``def``."""
        line = getattr(node or self.tree, "lineno", 1)
        return f"{short(self.file)}:{self.line + line - 1}"

    def segment(self, node: ast.AST) -> str:
        """The text of a piece."""
        return ast.get_source_segment(self.text, node) or ast.unparse(node)

    def walk(self) -> Iterator[ast.AST]:
        """All pieces of its body and its decorators."""
        for part in (*self.tree.decorator_list, *self.tree.body):
            yield from ast.walk(part)

    def edited(self, edits: Sequence[Edit]) -> tuple[Callable[..., Any], list[str]]:
        """The function with other pieces, compiled, and the lines that changed.

        Raises:
            Exception: it cannot be compiled so.
        """
        rows = [line.encode() for line in self.text.splitlines()]
        told: dict[int, str] = {}
        for edit in outermost(edits):
            first, last = edit.node.lineno - 1, (edit.node.end_lineno or edit.node.lineno) - 1  # type: ignore[union-attr]
            start, end = edit.node.col_offset, edit.node.end_col_offset  # type: ignore[union-attr]
            joined = rows[first][:start] + edit.text.encode() + rows[last][end:]
            rows[first : last + 1] = [joined] + [b""] * (last - first)
            told[first] = edit.shown
        lines = [told[row] or without_comment(rows[row].decode()) for row in sorted(told)]
        return self._compiled(b"\n".join(rows).decode()), list(dict.fromkeys(lines))

    def _compiled(self, text: str) -> Callable[..., Any]:
        names = self.function.__code__.co_freevars
        cells = [cell.cell_contents for cell in self.function.__closure__ or ()]
        outer = ast.parse(f"def outer({', '.join(names)}):\n return {self.tree.name}")
        cast("ast.FunctionDef", outer.body[0]).body[:0] = ast.parse(text).body
        made: dict[str, Any] = {}
        exec(compile(outer, self.file, "exec"), self.function.__globals__, made)
        result = made["outer"](*cells)
        return cast("Callable[..., Any]", getattr(result, "__func__", result))


def without_comment(line: str) -> str:
    """A line of code alone."""
    with suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO(line.strip()).readline):
            if token.type == tokenize.COMMENT:
                return line.strip()[: token.start[1]].strip()
    return line.strip()


def outermost(edits: Sequence[Edit]) -> list[Edit]:
    """Those that lie in no other, last first, so that each leaves the next in place."""

    def span(edit: Edit) -> tuple[tuple[int, int], tuple[int, int]]:
        node = cast("Any", edit.node)
        return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)

    kept: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: (span(edit)[0], tuple(-n for n in span(edit)[1]))):
        if not kept or span(edit)[0] >= span(kept[-1])[1]:
            kept.append(edit)
    return kept[::-1]


def source_of(function: Any) -> Source | None:
    """The source of a Python function; None where there is none to be found, as of a lambda."""
    plain = inspect.unwrap(getattr(function, "__func__", function)) if callable(function) else None
    if not isinstance(plain, FunctionType) or is_harness(plain.__code__.co_filename):
        return None
    try:
        lines, first = inspect.getsourcelines(plain)
        text = textwrap.dedent("".join(lines))
        (tree,) = ast.parse(text).body
    except (OSError, TypeError, ValueError, SyntaxError, IndentationError):
        return None
    if not isinstance(tree, ast.FunctionDef) or tree.name != plain.__code__.co_name:
        return None  # a lambda, whose line is that of a definition around it
    return Source(plain, plain.__code__.co_filename, first, text, tree)


def place_of(function: Any) -> str:
    """``file:line`` where a function, a class or an object's class is defined; "" where unknown."""
    if source := source_of(function):
        return source.place()
    target = getattr(function, "__func__", function)
    if not inspect.isclass(target) and not inspect.isroutine(target):
        target = type(target)
    try:
        file, (_, line) = inspect.getsourcefile(target), inspect.getsourcelines(target)
    except (OSError, TypeError):
        return ""
    return f"{short(file)}:{line}" if file and not is_harness(file) else ""


def frames_of(error: BaseException | None) -> list[tuple[str, int, str]]:
    """File, line and function of each frame of an error, outermost first, that is not the harness's."""
    frames: list[tuple[str, int, str]] = []
    while error is not None:
        found = [
            (frame.f_code.co_filename, line, frame.f_code.co_qualname)
            for frame, line in walk_tb(error.__traceback__)
        ]
        frames = [frame for frame in found if not is_harness(frame[0])] + frames
        error = error.__cause__ or error.__context__
    return frames


def is_harness(file: str) -> bool:
    """Whether a file is PyTorch's, this harness's or Python's own."""
    if file.startswith(HARNESS[:2]) or file.startswith("<"):
        return True
    return file.startswith(HARNESS[2]) and PACKAGES not in file


def short(file: str) -> str:
    """A path from the working directory, or from its package's, where it lies in either."""
    if PACKAGES in file:
        return file.rpartition(PACKAGES)[2]
    here = str(Path.cwd()) + os.sep
    return file.removeprefix(here)


def is_call(node: ast.AST, *names: str) -> bool:
    """Whether it is a call of a method, or of a function, of one of these names."""
    return isinstance(node, ast.Call) and name_of_call(node) in names


def name_of_call(node: ast.Call) -> str:
    """``detach`` of ``x.detach()``, ``no_grad`` of ``torch.no_grad()`` and of ``no_grad()``."""
    return str(getattr(node.func, "attr", None) or getattr(node.func, "id", ""))


def decorator_name(node: ast.expr) -> str:
    """``no_grad`` of ``@torch.no_grad()``, ``once_differentiable`` of ``@once_differentiable``."""
    target = node.func if isinstance(node, ast.Call) else node
    return str(getattr(target, "attr", None) or getattr(target, "id", ""))
