"""What the TEXT tab says of a run: its settings and its network, as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from ansnet.models.summary import summarise
from ansnet.training.board.layers import uncompiled_copy


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""A table in Markdown.

    Example:
        >>> print(table(("a", "b"), [(1, "x|y")]))
        | a | b |
        |---|---|
        | 1 | x\|y |
    """
    lines = [header, *rows]
    written = [
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    ]
    return "\n".join([written[0], "|" + "---|" * len(header), *written[1:]])


def settings_table(settings: Mapping[str, Any]) -> str:
    return table(("setting", "value"), [(name, f"`{value}`") for name, value in settings.items()])


def network_table(network: nn.Module, image_shape: tuple[int, ...]) -> str:
    """A network's notation, if it has one, and its layers, of one image each.

    Args:
        network: any.
        image_shape: C × H × W.
    """
    layers = summarise(uncompiled_copy(network).float(), image_shape)  # in any precision
    rows = [
        (
            layer.name,
            layer.kind,
            " × ".join(map(str, layer.shape)),
            f"{layer.parameters:,}",
            f"{layer.multiply_adds:,}",
        )
        for layer in layers
    ]
    parameters = sum(layer.parameters for layer in layers)
    products = sum(layer.multiply_adds for layer in layers)
    rows.append(("**in all**", "", "", f"**{parameters:,}**", f"**{products:,}**"))
    notation = getattr(network, "notation", None)
    head = f"`{notation}`\n\n" if notation else ""
    return head + table(("layer", "kind", "output", "parameters", "multiply-adds"), rows)
