"""``python -m ansnet predict --explain``: what is drawn, where to, and what is left as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ansnet.commands.main import main
from ansnet.models.weights import write_weights
from tests.commands.colours import knows_colours, predicted, refused


def test_explanations_are_drawn_beside_each_other_and_none_is_overwritten(
    photos: Path,
    explainable: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    first = predicted([str(photos), explainable, "--explain"], capsys)
    drawn = sorted(Path("explained").iterdir())
    assert [path.name for path in drawn] == ["blue.png", "green.png", "red.png"]
    assert sorted(each["explanation"] for each in first["pictures"]) == [str(path) for path in drawn]
    before = {path: path.read_bytes() for path in drawn}
    second = predicted([str(photos / "red.png"), explainable, "--explain"], capsys)
    assert second["pictures"][0]["explanation"] == str(Path("explained/red-2.png"))
    assert all(path.read_bytes() == content for path, content in before.items())
    with Image.open("explained/red-2.png") as picture:
        assert picture.width > picture.height > 200


@pytest.mark.parametrize("out", ["new.png", "new", "deep/new", "deep/new.PNG"])
def test_an_explanation_goes_where_it_is_told_to(
    out: str, photos: Path, explainable: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / out
    words = [str(photos / "red.png"), explainable, "--explain", f"--out={place}"]
    assert main(["predict", *words]) == 0
    expected = place if place.suffix else place / "red.png"
    assert f"explained in {expected}" in capsys.readouterr().out
    assert expected.is_file()


def test_what_is_there_is_not_overwritten(
    photos: Path, explainable: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (photos / "red.png").read_bytes()
    words = [str(photos / "green.jpg"), explainable, "--explain", f"--out={photos / 'red.png'}"]
    assert "red.png: this is there already; name a new file, or a folder" in refused(words, capsys)
    assert (photos / "red.png").read_bytes() == content


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["red.png", "--out=a.png"], "--out a.png has no effect without --explain; add it"),
        (
            ["red.png", "blue.gif", "--explain", "--out=a.png"],
            "there are 2 files to explain; name a folder",
        ),
        (["red.png", "--explain", "--out=a.jpg"], "name a file that ends in .png, or a folder"),
        (["red.png", "--explain", "--out=red.png/deep"], "cannot be written"),
    ],
)
def test_wrong_places_are_refused(
    words: list[str],
    message: str,
    photos: Path,
    explainable: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photos)
    assert message in refused([*words, explainable], capsys)
    assert len(list(photos.iterdir())) == 3


def test_a_network_without_maps_is_not_explained(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_weights(tmp_path / "a.safetensors", knows_colours("L(3)"))
    words = [str(photos / "red.png"), f"--run={tmp_path / 'a.safetensors'}"]
    assert main(["predict", *words]) == 0
    capsys.readouterr()
    assert "--explain: no layer of the network makes maps" in refused([*words, "--explain"], capsys)
