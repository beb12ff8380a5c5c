"""Pictures of three colours, and networks that know them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ansnet.models.weights import write_weights
from tests.commands.colours import COLOURS, knows_colours


@pytest.fixture
def weights(tmp_path: Path) -> str:
    path = tmp_path / "colours.safetensors"
    write_weights(path, knows_colours())
    return f"--run={path}"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a picture of each colour, each of another format."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, suffix, size in (
        ("red", "png", (40, 60)),
        ("green", "jpg", (200, 90)),
        ("blue", "gif", (7, 5)),
    ):
        Image.new("RGB", size, COLOURS[name]).save(folder / f"{name}.{suffix}")
    return folder


@pytest.fixture
def explainable(tmp_path: Path) -> str:
    """Those of a network with maps of more than one pixel."""
    path = tmp_path / "explainable.safetensors"
    write_weights(path, knows_colours("M(4), L(3)"))
    return f"--run={path}"
