"""`ansnet.data.folder`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ansnet.data.augmentation import Augmentation
from ansnet.data.datamodule import DataError
from ansnet.data.folder import FolderDataModule

COLOURS = {"blue": (0, 0, 255), "grey": (100, 100, 100), "red": (255, 0, 0)}


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Five pictures of each of three colours, in five formats and sizes."""
    for name, colour in COLOURS.items():
        (tmp_path / name).mkdir()
        for i, ending in enumerate(("png", "bmp", "gif", "webp", "tiff")):
            picture = Image.new("RGB", (20 + 30 * i, 90 - 10 * i), colour)
            picture.save(tmp_path / name / f"{i}.{ending}", lossless=True)
    return tmp_path


def test_pictures_of_any_size_and_format_become_bytes(colours: Path) -> None:
    data = FolderDataModule(colours, batch_size=4)
    assert data.classes == ("blue", "grey", "red")
    for name, size in (("train", 12), ("val", 3)):
        pixels, targets = data.images(name)
        assert pixels.shape == (size, 32, 32, 3)
        assert pixels.dtype == torch.uint8
        for image, target in zip(pixels, targets.tolist(), strict=True):
            colour = torch.tensor(COLOURS[data.classes[target]], dtype=torch.uint8)
            assert torch.equal(image, colour.expand(32, 32, 3))
    assert data.notes == [
        "12 pictures to train, 3 to validate, about a fifth of each class, the same in every run; "
        "3 classes"
    ]


def test_mean_and_deviation_are_those_of_the_pictures_to_train_by(colours: Path) -> None:
    data = FolderDataModule(colours, batch_size=12)
    values = np.array(list(COLOURS.values())) / 255  # four pictures of each
    assert data.normalisation["mean"] == pytest.approx(values.mean(0))
    assert data.normalisation["std"] == pytest.approx(values.std(0))
    ((images, _),) = data.untouched_train_dataloader()
    assert images.mean((0, 2, 3)).abs().max() < 1e-5  # float32's rounding
    assert (images.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5


def test_a_square_that_is_painted_over_has_their_mean_colour(colours: Path) -> None:
    data = FolderDataModule(colours, batch_size=12, augmentation=Augmentation("none", cutout=32))
    ((images, _),) = data.train_dataloader()
    half = 0.5 / 255 / min(data.normalisation["std"])  # a byte is a rounded mean
    assert images.abs().max() <= half * 1.001


def test_what_a_network_has_been_trained_by_is_taken_if_it_is_given(colours: Path) -> None:
    given = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    data = FolderDataModule(colours, batch_size=3, normalisation=given)
    ((images, targets),) = data.val_dataloader()
    assert "train" not in data.subsets  # is not read for it
    red = images[targets == 2][0]
    assert torch.equal(red.amax((1, 2)), torch.tensor([2.0, -2.0, -2.0]))


def test_wrong_files_are_left_out_and_named(colours: Path) -> None:
    (colours / "notes.txt").write_text("words")
    data = FolderDataModule(colours)
    for picture in data.layout.train[:3]:
        picture.path.write_bytes(b"no picture")
    half = data.layout.train[4].path
    half.write_bytes(half.read_bytes()[:50])
    data.setup("fit")
    assert [len(data.images(name).targets) for name in ("train", "val")] == [8, 3]
    counts, left_out = data.notes
    assert counts.startswith("8 pictures to train, 3 to validate")
    assert left_out.startswith("left out 5 files: notes.txt (this is no picture), blue/")
    assert left_out.endswith("and 2 more")
    assert "\n" not in left_out


def test_a_class_none_of_whose_pictures_can_be_read_is_refused(colours: Path) -> None:
    for path in (colours / "red").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"class 'red' is left to train: red.*\(this is no picture\)"):
        FolderDataModule(colours).setup("fit")


def test_digits_are_not_mirrored(tmp_path: Path) -> None:
    for name in ("3", "7"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("L", (28, 28), i).save(tmp_path / name / f"{i}.png")
    assert not FolderDataModule(tmp_path).mirrors
