"""Samples written in a line: ``f64[3, 4], const f64[5, 4], stride=2``.

A specification lists the arguments as a call does, tensors by dtype and shape:

====================================  ============================================================
``f64[3, 4]``                         normally distributed numbers; it requires grad
``f64[]``                             the same, without an axis
``const f64[3, 4]``                   the same, a constant: it does not require grad
``f64[3, 4] in 0.1..0.9``             evenly distributed from 0.1 up to 0.9
``i64[3] < 10``                       whole numbers from 0 to 9; without a range, 0 or 1
``i64[3] in -2..2``                   whole numbers from -2 to 2, both among them
``bool[3]``                           True or False
``f64([[1, 2], [3, 4]])``             these numbers; ``const`` may stand before it
``2``, ``-0.5``, ``1e-3``, ``inf``    a number
``True``, ``None``, ``"mean"``        as in Python; a string in double or single quotes
``(2, 3)``, ``[f64[3], f64[3]]``      a tuple, a list; of tensors, too
``weight=f64[5, 4]``, ``stride=2``    an argument by its name, behind those without one
====================================  ============================================================

dtypes: f64, f32, f16, bf16, c128, c64, i64, i32, i16, i8, u8, bool; or in full, as float64.
Tensors of real and complex numbers require grad unless they are ``const``; others cannot.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from math import inf, nan
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from ansnet.testing.case import Sample

DTYPES = {
    "f64": torch.float64,
    "f32": torch.float32,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "c128": torch.complex128,
    "c64": torch.complex64,
    "i64": torch.int64,
    "i32": torch.int32,
    "i16": torch.int16,
    "i8": torch.int8,
    "u8": torch.uint8,
    "bool": torch.bool,
}
BY_NAME = DTYPES | {str(dtype).removeprefix("torch."): dtype for dtype in DTYPES.values()}
CONSTANTS = {"True": True, "False": False, "None": None, "inf": inf, "nan": nan}
LARGEST = 1_000_000  # elements of a tensor
DEEPEST = 20  # lists within lists

TOKEN = re.compile(
    r"""\s*(?:
    (?P<range>\.\.)
    |(?P<number>[+-]?(?:(?:\d[\d_]*(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?|inf\b|nan\b))
    |(?P<word>[^\W\d]\w*)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<sign>[\[\](),=<>])
    |(?P<end>$)
    )""",
    re.VERBOSE,
)


class SpecificationError(ValueError):
    """A specification that cannot be read; the message points at the place."""


class Token(NamedTuple):
    """A piece of a specification."""

    kind: str
    text: str
    place: int


def parse_sample(text: str, seed: int = 0) -> Sample:
    """Make a sample of its specification; `ansnet.testing.specification` says how one is written.

    Args:
        text: the specification.
        seed: of the random numbers; the same one makes the same sample.

    Raises:
        SpecificationError: it cannot be read.

    Example:
        >>> parse_sample("f64[3, 4], const f64[5, 4] in 0..1, stride=2")
        (float64[3, 4], float64[5, 4], stride=2)
    """
    args, kwargs = Parser(text, seed).arguments()
    return Sample(*args, **kwargs)


class Parser:
    """Reads a specification from its beginning to its end.

    Args:
        text: the specification.
        seed: of the random numbers.
    """

    def __init__(self, text: str, seed: int = 0) -> None:
        self.text, self.depth = text, 0
        self.tokens = self._tokens()
        self.generator = torch.Generator().manual_seed(seed)

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """All of them, those without a name and those with one.

        Raises:
            SpecificationError: they cannot be read.
        """
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        while self.tokens[0].kind != "end":
            first = self.tokens[0]
            if first.kind == "word" and self.tokens[1].text == "=":
                if first.text in kwargs:
                    self._fail(first, f"{first.text} is given twice")
                self.tokens = self.tokens[2:]
                kwargs[first.text] = self._value()
            else:
                if kwargs:
                    self._fail(first, "an argument without a name stands behind one with a name")
                args.append(self._value())
            if self.tokens[0].kind != "end":
                self._expect(",")
        return args, kwargs

    def _value(self) -> Any:
        token = self.tokens.pop(0)
        if token.kind == "number":
            return self._number(token)
        if token.kind == "string":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1])
        if token.text in ("[", "("):
            return self._sequence(token)
        if token.kind == "word":
            if token.text in CONSTANTS:
                return CONSTANTS[token.text]
            constant = token.text == "const"
            return self._tensor(self.tokens.pop(0) if constant else token, constant)
        self._fail(token, "expected a tensor, as f64[3, 4], or a value, as 2, True or 'mean'")

    def _sequence(self, opening: Token) -> Any:
        """A list or a tuple, whose opening bracket is read; ``(2)`` is a number, as in Python."""
        self.depth += 1
        if self.depth > DEEPEST:
            self._fail(opening, f"brackets in more than {DEEPEST} others")
        closing, values, comma = {"[": "]", "(": ")"}[opening.text], [], False
        while self.tokens[0].text != closing:
            values.append(self._value())
            if comma := self.tokens[0].text == ",":
                self.tokens.pop(0)
            elif self.tokens[0].text != closing:
                self._fail(self.tokens[0], f"expected , or {closing}")
        self.tokens.pop(0)
        self.depth -= 1
        if closing == "]":
            return values
        return tuple(values) if comma or len(values) != 1 else values[0]

    def _tensor(self, name: Token, constant: bool) -> Tensor:
        if name.text not in BY_NAME:
            self._no_dtype(name)
        dtype = BY_NAME[name.text]
        differentiable = dtype.is_floating_point or dtype.is_complex
        if self.tokens[0].text == "(":
            tensor = self._of_numbers(self.tokens.pop(0), dtype)
        else:
            tensor = self._random(name, self._shape(), dtype)
        return tensor.requires_grad_(differentiable and not constant)

    def _of_numbers(self, opening: Token, dtype: torch.dtype) -> Tensor:
        values = self._value()
        self._expect(")")
        try:
            return torch.tensor(values, dtype=dtype)
        except (TypeError, ValueError, RuntimeError) as error:
            self._fail(opening, f"these are no numbers of a tensor ({_line(error)})")

    def _shape(self) -> list[int]:
        self._expect("[")
        sizes: list[int] = []
        while self.tokens[0].text != "]":
            token = self.tokens.pop(0)
            if not re.fullmatch(r"\d{1,12}", token.text):
                self._fail(token, "expected a size, a whole number")
            sizes.append(int(token.text))
            if self.tokens[0].text == ",":
                self.tokens.pop(0)
            elif self.tokens[0].text != "]":
                self._fail(self.tokens[0], "expected , or ]")
        self.tokens.pop(0)
        return sizes

    def _random(self, name: Token, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        count = torch.Size(shape).numel()
        if count > LARGEST:
            self._fail(
                name, f"{count} elements, at most {LARGEST}: derivatives are taken of each, a dozen do"
            )
        word = self.tokens[0]
        low, high = self._range()
        if low is not None and high is not None and low > high:
            self._fail(word, f"{low} is above {high}")
        if dtype.is_complex:
            if low is not None or high is not None:
                self._fail(word, "complex numbers have no range")
            parts = self._draw(torch.randn, (*shape, 2))
            return torch.view_as_complex(parts).to(dtype)
        if dtype.is_floating_point:
            if low is None and high is not None:
                self._fail(word, f"write from where to where, as 'in 0.1..{high}'")
            if low is None or high is None:
                return self._draw(torch.randn, shape).to(dtype)
            return (low + (high - low) * self._draw(torch.rand, shape)).to(dtype)
        if dtype == torch.bool:
            if low is not None or high is not None:
                self._fail(word, "bool has no range")
            low, high = 0, 1
        return self._whole(word, shape, 0 if low is None else low, 1 if high is None else high, dtype)

    def _whole(
        self, word: Token, shape: Sequence[int], low: float, high: float, dtype: torch.dtype
    ) -> Tensor:
        """Whole numbers from one up to another, both among them."""
        if not (isinstance(low, int) and isinstance(high, int)):
            self._fail(word, "whole numbers have a range of whole numbers")
        if dtype != torch.bool:
            limits = torch.iinfo(dtype)
            if low < limits.min or high >= limits.max:
                self._fail(word, f"{dtype} holds numbers from {limits.min} to {limits.max}")
        return torch.randint(low, high + 1, tuple(shape), generator=self.generator).to(dtype)

    def _draw(self, draw: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        return draw(tuple(shape), generator=self.generator, dtype=torch.float64)

    def _range(self) -> tuple[float | None, float | None]:
        """What stands behind a shape: the least and the largest number, of whole numbers at most."""
        token = self.tokens[0]
        if token.text == "in":
            self.tokens.pop(0)
            low = self._limit()
            self._expect("..")
            return low, self._limit()
        if token.text == "<":
            self.tokens.pop(0)
            limit, high = self.tokens[0], self._limit()
            if not isinstance(high, int):
                return None, high
            if high < 1:
                self._fail(limit, "no whole number from 0 is below it")
            return None, high - 1
        if token.text == ">":
            self._fail(token, "write from where to where, as 'in 0.1..2'")
        return None, None

    def _limit(self) -> float:
        token = self.tokens.pop(0)
        if token.kind != "number" or token.text.lstrip("+-") in ("inf", "nan"):
            self._fail(token, "expected a number")
        number = self._number(token)
        if abs(number) == inf:
            self._fail(token, "expected a number, this one is too large")
        return number

    def _number(self, token: Token) -> int | float:
        try:
            return int(token.text)
        except ValueError:
            pass
        try:
            return float(token.text)
        except ValueError:
            self._fail(token, "this is no number")

    def _expect(self, text: str) -> None:
        token = self.tokens.pop(0)
        if token.text != text:
            self._fail(token, f"expected {text}")

    def _no_dtype(self, token: Token) -> NoReturn:
        if token.kind == "end":
            self._fail(token, "expected a tensor, as f64[3, 4]")
        known = [*BY_NAME, *CONSTANTS, "const"]
        nearest = get_close_matches(token.text.lower(), [word.lower() for word in known], n=1)
        nearest = [word for word in known if word.lower() in nearest]
        is_tensor = self.tokens[0].text in ("[", "(")
        hint = f"did you mean {nearest[0]}?" if nearest else f"dtypes are {', '.join(DTYPES)}"
        if not is_tensor and not nearest:
            hint = "strings stand in quotes, tensors are written as f64[3, 4]"
        self._fail(token, f"there is no {'dtype' if is_tensor else 'value'} {token.text!r}; {hint}")

    def _tokens(self) -> list[Token]:
        tokens: list[Token] = []
        place = 0
        while not tokens or tokens[-1].kind != "end":
            match = TOKEN.match(self.text, place)
            if match is None or match.lastgroup is None:
                rest = len(self.text[place:]) - len(self.text[place:].lstrip())
                start = place + rest
                what = "a string has no end" if self.text[start] in "\"'" else "this cannot be read"
                self._fail(Token("", self.text[start], start), what)
            tokens.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            place = match.end()
        return tokens

    def _fail(self, token: Token, what: str) -> NoReturn:
        """Name the character, counted from 1, and what stands there.

        Raises:
            SpecificationError: always.
        """
        rest = " ".join(self.text[token.place :].split())
        there = f"at {rest[:20]!r}" if rest else "at its end"
        raise SpecificationError(
            f"{' '.join(self.text.split())[:100]!r}, character {token.place + 1}, {there}: {what}"
        ) from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:100]
