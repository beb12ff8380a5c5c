"""The notebook's notation for networks: its parser, and the network that it describes.

=============  =====================================================================
``C(f)``       3×3 convolution with f filters and padding 1
``N``          batch normalisation
``R``          ReLU
``M(k)``       max-pooling over windows of k×k; of equal maxima the first gets the gradient
``L(d)``       linear layer with d outputs; before the first one, the image is flattened
``CNR(f)``     letters in a row are layers in a row; the number belongs to the C, M or L
``res(…)``     residual block, z = x + block(x)
=============  =====================================================================

A number has at most nine digits, a block is at most 20 blocks deep, a network has at most 5,000 layers,
and a layer at most 2⁴⁰ weights (4 TB in float32).

Layers are separated by commas, as in ``CNR(64), M(2), res(CNR(64)), M(16), L(10)``. A C or L that
is directly followed by N has no bias unless one is asked for: N would subtract it again.

Grammar, blanks aside::

    network  = item { "," item }
    item     = "res" "(" network ")"  |  letters [ "(" number ")" ]
    letters  = letter { letter }      with letter one of C N R M L
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from ansnet.modules import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequence,
    to_torch,
)

takes_number = {"C": "number of filters", "M": "window size", "L": "number of outputs"}
takes_none = {"N", "R"}

MOST_DIGITS = 9
DEEPEST = 20
MOST_LAYERS = 5_000
MOST_WEIGHTS = 2**40


class NotationError(ValueError):
    """A notation that does not parse, or describes a network that cannot be built.

    Attributes:
        position: where in the notation, counted from 1.
    """

    def __init__(self, notation: str, index: int, reason: str) -> None:
        self.position = index + 1
        rest = notation[index:]
        here = f"at {rest[:20]!r}" if rest else "at its end"
        super().__init__(f"model notation, position {self.position} ({here}): {reason}")


@dataclass(frozen=True)
class Layer:
    """One letter of the notation, with its number if it takes one, and where it stands."""

    letter: str
    number: int
    index: int


@dataclass(frozen=True)
class Block:
    """``res(…)``, and where it stands."""

    items: tuple[Item, ...]
    index: int


Item = Layer | Block


def parse(notation: str) -> tuple[Item, ...]:
    """Read a notation.

    Args:
        notation: for example ``"CR(64), M(2), L(10)"``.

    Returns:
        Its layers and residual blocks, in order.

    Raises:
        NotationError: it does not parse; the message says where and why.
    """
    return _Parser(notation).network()


class _Parser:
    """Recursive descent over the grammar in the module's docstring, one method a rule."""

    def __init__(self, notation: str) -> None:
        self.notation = notation
        self.index = 0
        self.depth = 0
        self.count = 0

    def network(self) -> tuple[Item, ...]:
        items = tuple(self.items())
        if self.index < len(self.notation):
            raise self.error("expected ',' or the end of the notation")
        return items

    def items(self) -> Iterator[Item]:
        yield from self.item()
        while self.take(r","):
            yield from self.item()

    def item(self) -> Iterator[Item]:
        self.take(r"")
        index = self.index
        word = self.take(r"[^\W\d_]+")
        if not word:
            raise self.error("expected a layer such as CR(64), M(2), res(CNR(128)) or L(10)")
        if word == "res":
            self.expect(r"\(", "expected '(' after res")
            self.depth += 1
            if self.depth > DEEPEST:
                raise self.error(f"residual blocks are nested more than {DEEPEST} deep", index)
            items = tuple(self.items())
            self.depth -= 1
            self.expect(r"\)", "expected ',' or the ')' that closes res(")
            yield Block(items, index)
        else:
            yield from self.letters(word, index)

    def letters(self, word: str, index: int) -> Iterator[Layer]:
        for offset, letter in enumerate(word):
            if letter not in takes_number and letter not in takes_none:
                reason = f"unknown layer {letter!r}; known are C N R M L and res"
                raise self.error(reason, index + offset)
        owners = [letter for letter in word if letter in takes_number]
        if len(owners) > 1:
            reason = f"{word} needs {len(owners)} numbers; separate its layers by commas"
            raise self.error(reason, index)
        self.count += len(word)
        if self.count > MOST_LAYERS:
            raise self.error(f"the network has more than {MOST_LAYERS:,} layers", index)
        number = self.number(owners[0]) if owners else 0
        for offset, letter in enumerate(word):
            yield Layer(letter, number if letter in takes_number else 0, index + offset)

    def number(self, owner: str) -> int:
        meaning = takes_number[owner]
        self.expect(r"\(", f"expected '(' and the {meaning} of {owner}")
        digits = self.expect(r"[0-9]+", f"expected the {meaning} of {owner}, a positive whole number")
        if len(digits) > MOST_DIGITS:
            reason = f"the {meaning} of {owner} has {len(digits)} digits; at most are {MOST_DIGITS}"
            raise self.error(reason, self.index - len(digits))
        if int(digits) == 0:
            raise self.error(f"the {meaning} of {owner} must be at least 1", self.index - len(digits))
        self.expect(r"\)", "expected ')' after the number")
        return int(digits)

    def take(self, pattern: str) -> str:
        """Skip blanks, then whatever matches the pattern, and return that."""
        self.index = self.match(r"\s*").end()
        start, self.index = self.index, self.match(f"(?:{pattern})?").end()
        return self.notation[start : self.index]

    def match(self, pattern: str) -> re.Match[str]:
        match = re.compile(pattern).match(self.notation, self.index)
        assert match is not None  # every pattern given here matches nothing, too
        return match

    def expect(self, pattern: str, otherwise: str) -> str:
        taken = self.take(pattern)
        if not taken:
            raise self.error(otherwise)
        return taken

    def error(self, reason: str, index: int | None = None) -> NotationError:
        return NotationError(self.notation, self.index if index is None else index, reason)


class Network(Sequence):
    """The network that a notation describes.

    Args:
        notation: see `ansnet.models.notation`.
        in_shape: channels, height and width of the images.
        bias: give a bias even to those C and L that are directly followed by N.

    Attributes:
        notation: as given.
        out_features: number of outputs; the number of classes, in a classifier.

    Shapes: N × in_shape to N × out_features.

    Raises:
        NotationError: the notation does not parse, or a layer does not fit behind the one before.
    """

    def __init__(
        self,
        notation: str,
        in_shape: tuple[int, int, int] = (3, 32, 32),
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.notation = notation
        self.in_shape = in_shape
        self.bias = bias
        builder = _Builder(notation, in_shape, bias)
        for name, layer in builder.build(parse(notation)):
            self.add_module(name, layer)
        if len(builder.shape) != 1:
            raise NotationError(notation, len(notation), "a network ends with a linear layer, as L(10)")
        (self.out_features,) = builder.shape

    def __getitem__(self, index: Any) -> Any:
        """A layer; or of a slice a `Sequence`, since part of the network has another notation."""
        if isinstance(index, slice):
            return Sequence(OrderedDict(list(self._modules.items())[index]))
        return super().__getitem__(index)


def torch_twin(network: nn.Module) -> nn.Module:
    """The same network from `torch.nn` layers, with a copy of its weights (`to_torch`)."""
    return to_torch(network)


class _Builder:
    """Turns parsed items into named layers, following the shape that flows through them."""

    def __init__(self, notation: str, shape: tuple[int, ...], bias: bool) -> None:
        self.notation = notation
        self.shape = shape  # (channels, height, width), or (features,) once flattened
        self.bias = bias

    def build(self, items: tuple[Item, ...]) -> Iterator[tuple[str, nn.Module]]:
        count: Counter[str] = Counter()
        for item, following in zip(items, (*items[1:], None), strict=True):
            if isinstance(item, Block):
                named: list[tuple[str, nn.Module]] = [("residual", self.residual(item))]
            else:
                normalised = isinstance(following, Layer) and following.letter == "N"
                named = self.layer(item, bias=self.bias or not normalised)
            for name, layer in named:
                count[name] += 1
                yield name if name == "flatten" else f"{name}{count[name]}", layer

    def residual(self, block: Block) -> Residual:
        shape = self.shape
        body = Residual()
        for name, layer in self.build(block.items):
            body.add_module(name, layer)
        if self.shape != shape:
            raise NotationError(
                self.notation,
                block.index,
                f"a residual block must keep the shape of its input, but it makes {self.shape} "
                f"of {shape}",
            )
        return body

    def layer(self, item: Layer, bias: bool) -> list[tuple[str, nn.Module]]:
        match item.letter:
            case "C":
                channels, height, width = self.image(item)
                self.check_weights(item, 9 * channels * item.number)
                self.shape = (item.number, height, width)
                return [("conv", Conv2d(channels, item.number, 3, padding=1, bias=bias))]
            case "N":
                kind = BatchNorm2d if len(self.shape) == 3 else BatchNorm1d
                return [("norm", kind(self.shape[0]))]
            case "R":
                return [("relu", ReLU())]
            case "M":
                channels, height, width = self.image(item)
                if min(height, width) < item.number:
                    raise NotationError(
                        self.notation,
                        item.index,
                        f"a window of {item.number}x{item.number} does not fit into an image of "
                        f"{height}x{width}",
                    )
                self.shape = (channels, height // item.number, width // item.number)
                # PyTorch's choice among equal maxima, so that the twin is the same network; ties are
                # frequent where an image is flat, and torch.nn knows no other choice.
                return [("pool", MaxPool2d(item.number, ties="first"))]
            case _:
                return self.linear(item, bias)

    def linear(self, item: Layer, bias: bool) -> list[tuple[str, nn.Module]]:
        flatten: list[tuple[str, nn.Module]] = []
        if len(self.shape) == 3:
            channels, height, width = self.shape
            self.shape = (channels * height * width,)
            flatten = [("flatten", Flatten())]
        (features,) = self.shape
        self.check_weights(item, features * item.number)
        self.shape = (item.number,)
        return [*flatten, ("linear", Linear(features, item.number, bias=bias))]

    def check_weights(self, item: Layer, weights: int) -> None:
        if weights > MOST_WEIGHTS:
            reason = f"the layer has {weights:,} weights; at most are {MOST_WEIGHTS:,}"
            raise NotationError(self.notation, item.index, reason)

    def image(self, item: Layer) -> tuple[int, int, int]:
        if len(self.shape) != 3:
            raise NotationError(
                self.notation, item.index, f"{item.letter} needs an image, but L has flattened it"
            )
        channels, height, width = self.shape
        return channels, height, width
