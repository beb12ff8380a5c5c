"""`ansnet.data.layout`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansnet.data.datamodule import DataError
from ansnet.data.layout import Layout, read_layout


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def names(folder: Path, layout: Layout, subset: str) -> list[str]:
    return [picture.path.relative_to(folder).as_posix() for picture in getattr(layout, subset)]


def many(*classes: str, count: int = 10) -> list[str]:
    return [f"{name}/{i}.png" for name in classes for i in range(count)]


def test_a_fifth_of_each_class_validates_the_same_on_every_machine(tmp_path: Path) -> None:
    touch(tmp_path, *many("cat", "dog"), *many("few", count=2))
    layout = read_layout(tmp_path)
    assert layout.classes == ("cat", "dog", "few")
    # what sha256 makes of the names; another choice would put runs beside each other that are not
    assert names(tmp_path, layout, "val") == [
        "cat/2.png", "cat/8.png", "dog/2.png", "dog/4.png", "few/0.png"
    ]  # fmt: skip
    assert sorted(layout.train + layout.val) == sorted({*layout.train, *layout.val})
    assert [picture.target for picture in layout.train] == [0] * 8 + [1] * 8 + [2]


def test_a_folder_that_has_been_moved_is_split_alike(tmp_path: Path) -> None:
    here = touch(tmp_path / "here", *many("cat", "dog"))
    before = names(here, read_layout(here), "val")
    there = here.rename(tmp_path / "there")
    assert names(there, read_layout(there), "val") == before


def test_what_is_added_leaves_nearly_all_others_where_they_are(tmp_path: Path) -> None:
    touch(tmp_path, *many("cat", "dog", count=100))
    before = {*names(tmp_path, read_layout(tmp_path), "val")}
    touch(tmp_path, *(f"cat/new{i}.png" for i in range(10)))
    after = {*names(tmp_path, read_layout(tmp_path), "val")}
    assert len(after) == 42
    assert len(before & after) >= 35


@pytest.mark.parametrize("name", ["val", "valid", "validation", "test", "Test"])
def test_a_split_of_ones_own_is_kept(tmp_path: Path, name: str) -> None:
    touch(tmp_path, *many("train/a", "train/b", count=3), f"{name}/a/9.jpg", f"{name}/b/8.jpg")
    layout = read_layout(tmp_path)
    assert layout.validation == name
    assert layout.classes == ("a", "b")
    assert names(tmp_path, layout, "val") == [f"{name}/a/9.jpg", f"{name}/b/8.jpg"]
    assert len(layout.train) == 6


def test_of_val_and_test_the_first_validates(tmp_path: Path) -> None:
    touch(tmp_path, *many("train/a", "train/b", "val/a", "val/b", "test/a", "test/b", count=1))
    assert names(tmp_path, read_layout(tmp_path), "val") == ["val/a/0.png", "val/b/0.png"]


def test_train_alone_is_split(tmp_path: Path) -> None:
    touch(tmp_path, *many("train/a", "train/b", count=5))
    layout = read_layout(tmp_path)
    assert (layout.validation, len(layout.train), len(layout.val)) == (None, 8, 2)


def test_a_train_among_vehicles_is_a_class(tmp_path: Path) -> None:
    touch(tmp_path, *many("bus", "car", "train", count=2))
    assert read_layout(tmp_path).classes == ("bus", "car", "train")


def test_hidden_files_are_passed_over_and_others_told(tmp_path: Path) -> None:
    touch(tmp_path, *many("a", "b", count=2), "a/.x.png", ".git/x.png", "__MACOSX/a/x.png")
    touch(tmp_path, "a/Thumbs.db", "readme.txt", "b/notes.txt")
    layout = read_layout(tmp_path)
    assert layout.classes == ("a", "b")
    assert len(layout.train + layout.val) == 4
    assert [path.name for path in layout.others] == ["readme.txt", "notes.txt"]


def test_folders_in_a_class_belong_to_it_also_behind_a_link_and_once(tmp_path: Path) -> None:
    touch(tmp_path / "pets", *many("a", count=2), "a/deep/er/3.JPG", *many("b", count=2))
    touch(tmp_path / "elsewhere", "4.webp")
    (tmp_path / "pets" / "b" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "pets" / "a" / "loop").symlink_to(tmp_path / "pets" / "a")
    layout = read_layout(tmp_path / "pets")
    found = sorted(names(tmp_path / "pets", layout, "train") + names(tmp_path / "pets", layout, "val"))
    assert found == ["a/0.png", "a/1.png", "a/deep/er/3.JPG", "b/0.png", "b/1.png", "b/link/4.webp"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no folders; put the pictures of each class into a folder of its own"),
        (["1.png", "2.png"], "holds pictures, but no folders"),
        (["a/1.png", "a/2.png"], "the folder of one class only, 'a'; there must be two"),
        (["pets/a/1.png", "pets/b/2.png"], "did you mean folder:.*pets?"),
        (["a/1.png", "a/2.png", "b/.x"], "b holds no pictures; put some into it"),
        (["a/1.png", "a/2.png", "b/x.txt"], "no pictures, but 1 other file, as x.txt"),
        (["a/1.png", "a/2.png", "b/x.HEIC", "b/y.HEIC"], "2 other files, as x.HEIC .*save it as JPEG"),
        (["a/1.png", "a/2.png", "b/1.png"], "b has one picture only; a class needs two"),
        (["val/a/1.png", "test/b/1.png"], "holds val, but no train"),
        (["train/a/1.png", "train/b/1.png", "val/a/1.png"], "val has no folder 'b', but .*train has"),
        (
            ["train/a/1.png", "train/b/1.png", *many("val/a", "val/b", "val/c")],
            "train has no folder 'c'",
        ),
    ],
)
def test_what_is_laid_out_otherwise_is_told_in_a_line(
    tmp_path: Path, files: list[str], message: str
) -> None:
    touch(tmp_path, *files)
    with pytest.raises(DataError, match=message) as error:
        read_layout(tmp_path)
    assert "\n" not in str(error.value)


def test_a_path_that_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(f"folder:{tmp_path / 'x'}: there is no such folder")):
        read_layout(tmp_path / "x")
    with pytest.raises(DataError, match="this is a file"):
        read_layout(touch(tmp_path, "file") / "file")


@pytest.mark.parametrize(
    ("classes", "mirrors"),
    [
        (("cat", "dog"), True),
        (("0", "1", "2"), False),
        (("00001", "00014"), False),
        (("A", "B", "z"), False),
        (("zero", "One"), False),
        (("arrow_left", "arrow_right"), False),
        (("bright", "leftover"), True),
        (("1", "cat"), True),
    ],
)
def test_whether_the_names_let_a_mirror_image_be_of_the_same_class(
    classes: tuple[str, ...], mirrors: bool
) -> None:
    assert Layout(Path(), classes, (), (), None, ()).mirrors == mirrors
