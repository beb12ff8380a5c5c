"""The CUSTOM SCALARS tab: curves that belong together in one picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

LINES = 10  # in a chart of accuracies by class, as many as can be told apart

Layout = dict[str, dict[str, list[Any]]]


def class_tags(names: Sequence[str]) -> list[str]:
    """The tag of each class's accuracy; classes of the same name are told apart by their index."""
    words = [re.sub(r"[^\w.-]+", "_", name).strip("_") or "class" for name in names]
    return [
        f"val_by_class/{word}" if words.count(word) == 1 else f"val_by_class/{word}_{i}"
        for i, word in enumerate(words)
    ]


def layout(tags: Sequence[str]) -> Layout:
    """What ``SummaryWriter.add_custom_scalars`` is given.

    Args:
        tags: of the classes' accuracies, as `class_tags` names them.
    """
    parts = [tags[start : start + LINES] for start in range(0, len(tags), LINES)]
    by_class = {
        "accuracy by class"
        if len(parts) == 1
        else f"classes {i * LINES} to {i * LINES + len(part) - 1}": [
            "Multiline",
            [exactly(tag) for tag in part],
        ]
        for i, part in enumerate(parts)
    }
    return {
        "training and validation": {
            quantity: ["Multiline", [exactly(f"{subset}/{quantity}") for subset in ("train", "val")]]
            for quantity in ("accuracy", "loss")
        },
        "classes": by_class,
        "schedule and speed": {
            "learning rate": ["Multiline", [exactly("schedule/learning_rate")]],
            "images per second": ["Multiline", [exactly("speed/images_per_second")]],
        },
    }


def exactly(tag: str) -> str:
    """The regular expression of one tag."""
    return f"^{re.escape(tag)}$"
