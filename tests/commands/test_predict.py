"""``python -m ansnet predict``: what it says of pictures, and of what is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ansnet.commands import predict
from ansnet.commands.main import main
from ansnet.models import Network, pretrained
from ansnet.models.weights import TrainedNetwork, write_weights
from tests.commands.colours import CLASSES, COLOURS, knows_colours, predicted, refused


@pytest.mark.parametrize("views", ["plain", "flip", "shift", "flip_shift"])
def test_each_picture_of_a_folder_is_told(
    views: str, photos: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = predicted([str(photos), weights, f"--views={views}"], capsys)
    assert found["unread"] == []
    assert [Path(each["picture"]).name for each in found["pictures"]] == [
        "blue.gif",
        "green.jpg",
        "red.png",
    ]
    for each in found["pictures"]:
        assert each["class"] == Path(each["picture"]).stem == each["probabilities"][0]["class"]
        assert {entry["class"] for entry in each["probabilities"]} == set(CLASSES)
        shares = [entry["probability"] for entry in each["probabilities"]]
        assert sum(shares) == pytest.approx(1)
        assert shares == sorted(shares, reverse=True)
        assert each["explanation"] is None


def test_in_batches_nothing_changes(
    photos: Path, weights: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = predicted([str(photos), weights], capsys)
    monkeypatch.setattr(predict, "BATCH", 2)
    in_batches = predicted([str(photos), weights], capsys)
    for one, other in zip(at_once["pictures"], in_batches["pictures"], strict=True):
        assert one["class"] == other["class"]
        shares = [[entry["probability"] for entry in each["probabilities"]] for each in (one, other)]
        assert shares[0] == pytest.approx(shares[1], rel=1e-5)


def test_a_person_reads_a_table_with_bars(
    photos: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(photos / "red.png"), weights]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("What the network knows, learnt from colours: red, green, blue.")
    assert lines[-4] == str(photos / "red.png")
    assert lines[-3].split()[0] == "red"
    assert lines[-3].count("█") > 20
    assert sorted(line.split()[0] for line in lines[-2:]) == ["blue", "green"]


def test_of_many_pictures_each_has_a_line(
    tmp_path: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(predict.FEW + 1):
        Image.new("RGB", (8, 8), COLOURS["green"]).save(tmp_path / f"{i}.png")
    pictures = sorted(map(str, tmp_path.glob("*.png")))
    assert main(["predict", *pictures, weights]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-len(pictures) :]] == pictures
    assert all("  green " in line for line in lines[-len(pictures) :])


def test_bars_are_of_signs_that_can_be_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert predict.bar(1) == "█" * predict.BAR
    assert predict.bar(0) == ""
    assert predict.bar(1 / 8 / predict.BAR) == "▏"

    class Plain:
        encoding = "ascii"

    monkeypatch.setattr(predict.sys, "stdout", Plain())
    assert predict.bar(0.5) == "#" * (predict.BAR // 2)


def test_the_middle_of_a_wide_picture_is_seen(
    tmp_path: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = Image.new("RGB", (300, 100), COLOURS["blue"])
    wide.paste(COLOURS["green"], (90, 0, 210, 100))
    wide.save(tmp_path / "wide.png")
    (found,) = predicted([str(tmp_path / "wide.png"), weights], capsys)["pictures"]
    assert found["class"] == "green"


@pytest.mark.parametrize("mode", ["L", "1", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pictures_of_all_modes_are_taken(
    mode: str, tmp_path: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each as the same picture in RGB."""
    path, same = tmp_path / ("a.tif" if mode == "CMYK" else "a.png"), tmp_path / "same.png"
    if mode == "I;16":
        Image.fromarray(np.full((9, 9), 40000, np.uint16)).save(path)
        Image.new("RGB", (9, 9), (156, 156, 156)).save(same)  # the upper 8 bits
    else:
        picture = Image.new("RGB", (9, 9), COLOURS["blue"]).convert(mode)
        picture.save(path)
        picture.convert("RGB").save(same)
    found, expected = predicted([str(path), str(same), weights], capsys)["pictures"]
    assert found["probabilities"] == expected["probabilities"]


def write_wrong(path: Path) -> None:
    if path.stem == "truncated":
        noise = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:900])
    elif path.stem == "empty":
        path.touch()
    elif path.stem == "words":
        path.write_text("no picture")


WRONG = [
    ("words.png", "this is no picture"),
    ("empty.jpg", "the file is empty"),
    ("truncated.jpg", "the picture is damaged"),
    ("missing.jpg", "there is no such file"),
]


@pytest.mark.parametrize(("name", "reason"), WRONG)
def test_what_is_no_picture_is_told_in_one_line(
    name: str, reason: str, tmp_path: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_wrong(tmp_path / name)
    assert main(["predict", str(tmp_path / name), weights]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"python -m ansnet predict: {tmp_path / name}: {reason}")
    assert captured.err.count("\n") == 1


def test_the_others_of_a_folder_are_predicted(
    photos: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, _ in WRONG[:3]:
        write_wrong(photos / name)
    (photos / ".hidden").write_text("passed over")
    (photos / "folder.jpg").mkdir()
    (photos / "folder.jpg/inside.txt").write_text("passed over")
    assert main(["predict", "--json", str(photos), weights]) == 1
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert [each["class"] for each in found["pictures"]] == ["blue", "green", "red"]
    assert sorted(Path(each["file"]).name for each in found["unread"]) == [
        "empty.jpg",
        "truncated.jpg",
        "words.png",
    ]
    told = [f"{photos}: the folders in it are passed over; name them as well"]
    told += [each["reason"] for each in found["unread"]]
    assert captured.err.splitlines() == [f"python -m ansnet predict: {line}" for line in told]


@pytest.mark.parametrize("limit", [400, 200])
def test_a_picture_of_too_many_pixels_is_told_without_a_warning(
    limit: int,
    tmp_path: Path,
    weights: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pillow warns of more than its limit, which is read all the same, and refuses twice as many."""
    Image.new("RGB", (30, 20), COLOURS["red"]).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    code = main(["predict", str(tmp_path / "huge.png"), weights])
    captured = capsys.readouterr()
    if limit == 400:
        assert (code, captured.err) == (0, "")
    else:
        assert code == 2
        assert "huge.png: it has too many pixels; save it smaller" in captured.err
        assert captured.err.count("\n") == 1


def test_a_folder_named_as_a_picture_is_a_folder(
    photos: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photos.rename(photos.parent / "photos.jpg")
    assert len(predicted([str(folder), weights], capsys)["pictures"]) == 3


def test_a_folder_without_files_is_refused(
    tmp_path: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty/deeper").mkdir(parents=True)
    error = refused([str(tmp_path / "empty"), weights], capsys)
    assert "there is no file in this folder; name one that has pictures" in error


@pytest.mark.skipif(
    os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root reads everything"
)
def test_a_folder_that_may_not_be_read_is_refused(
    photos: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos.chmod(0)
    assert "cannot be read" in refused([str(photos), weights], capsys)
    photos.chmod(0o700)


def test_a_name_that_is_too_long_is_refused(weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot be read (File name too long)" in refused(["a" * 5000, weights], capsys)


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes on POSIX only")
def test_a_name_of_any_bytes_is_printed(
    photos: Path, weights: str, capsys: pytest.CaptureFixture[str]
) -> None:
    named = photos / os.fsdecode(b"b\xfcro.png")
    (photos / "red.png").rename(named)
    assert main(["predict", str(named), weights]) == 0
    assert "b�ro.png" in capsys.readouterr().out


def test_without_a_run_it_is_the_network_that_comes_trained(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path / "shipped")
    error = refused([str(photos)], capsys)
    assert (
        "no trained weights of 'resnet9' come with ansnet; this copy has none; name a run with --run"
        in error
    )
    (tmp_path / "shipped").mkdir()
    write_weights(tmp_path / "shipped/resnet9.safetensors", knows_colours())
    assert [each["class"] for each in predicted([str(photos)], capsys)["pictures"]] == [
        "blue",
        "green",
        "red",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--best"], "--best has no effect without --run; name a run"),
        (["--run=nowhere"], "there is no run 'nowhere', neither as a path nor in"),
        (["--run=nowhere.safetensors"], "nowhere.safetensors: there is no such file"),
        (["--run=red.png"], "red.png: this is no checkpoint of a run, nor a file of weights"),
        (["--run=last", "--log-dir=."], "no run in . has a checkpoint"),
        (["--views=both"], "--views"),
    ],
)
def test_wrong_runs_are_refused(
    words: list[str],
    message: str,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(photos)
    assert message in refused(["red.png", *words], capsys)


@pytest.mark.parametrize(
    ("trained", "message"),
    [
        (TrainedNetwork(Network("L(3)", (1, 28, 28)), CLASSES), "takes images of 1 × 28 × 28"),
        (TrainedNetwork(Network("L(3)", (3, 20, 30)), CLASSES), "takes images of 3 × 20 × 30"),
        (TrainedNetwork(Network("L(3)"), CLASSES), "does not say how its images were normalised"),
    ],
)
def test_networks_that_pictures_cannot_be_shown_to_are_refused(
    trained: TrainedNetwork,
    message: str,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_weights(tmp_path / "a.safetensors", trained)
    words = [str(photos), f"--run={tmp_path / 'a.safetensors'}"]
    assert message in refused(words, capsys)


def test_without_pictures_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert "the following arguments are required: images" in refused([], capsys)
