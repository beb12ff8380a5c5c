"""Training on one's own pictures and evaluating, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from ansnet.commands.main import main

MODEL = "CNR(4), M(8), L(2)"

pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve, of which ten are to train by, and a file that is none."""
    folder = tmp_path_factory.mktemp("data") / "pictures"
    for name, colour in (("day", "lightyellow"), ("night", "midnightblue")):
        (folder / name).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (40 + i, 50), colour).save(folder / name / f"{i}.jpg")
    (folder / "day" / "notes.txt").write_text("sunny")
    return folder


@pytest.fixture(scope="module")
def log_dir(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    train(pictures, folder)
    return folder


def train(pictures: Path, log_dir: Path, *options: str) -> None:
    main(
        [
            "train",
            f"--dataset=folder:{pictures}",
            f"--model={MODEL}",
            "--max-epochs=2",
            "--batch-size=500",
            "--accelerator=cpu",
            f"--log-dir={log_dir}",
            *options,
        ]
    )


def test_twelve_pictures_are_a_batch_and_what_is_assumed_is_said(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(pictures, tmp_path)
    shown = capsys.readouterr().out
    assert "10 pictures to train, 2 to validate, about a fifth of each class" in shown
    assert "left out 1 file: day/notes.txt (this is no picture)" in shown
    assert "normalised by the training images' mean 0." in shown
    assert "mirror images are shown as of the same class; if they are not" in shown
    train(pictures, tmp_path, "--flip=none")
    assert "mirror images" not in capsys.readouterr().out


def test_batches_that_leave_a_single_image_are_trained(pictures: Path, tmp_path: Path) -> None:
    main(
        [
            "train",
            f"--dataset=folder:{pictures}",
            "--model=CNR(4), M(32), CNR(4), L(2)",  # normalises values of which an image has one
            "--max-epochs=1",
            "--batch-size=9",
            "--accelerator=cpu",
            f"--log-dir={tmp_path}",
        ]
    )
    assert list(tmp_path.rglob("last.ckpt"))


def test_the_checkpoint_carries_classes_and_normalisation(
    pictures: Path, log_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ansnet.data import FolderDataModule
    from ansnet.training.classifier import ImageClassifier

    (checkpoint,) = log_dir.rglob("last.ckpt")
    classifier = ImageClassifier.load_from_checkpoint(checkpoint, weights_only=True)
    assert classifier.classes == ("day", "night")
    assert classifier.dataset == f"folder:{pictures}"
    assert classifier.normalisation == FolderDataModule(pictures).normalisation


def test_it_is_evaluated_also_where_the_pictures_have_been_moved(
    pictures: Path, log_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["evaluate", "last", f"--log-dir={log_dir}", "--json"]
    main(run)
    before = json.loads(capsys.readouterr().out)
    assert sum(map(sum, before["confusion"])) == 2
    assert before["accuracy"]["plain"] == before["own_accuracy"]
    moved = pictures.rename(pictures.with_name("moved"))
    try:
        with pytest.raises(SystemExit):
            main(run)
        assert "name their folder with --data-dir" in capsys.readouterr().err
        main([*run, f"--data-dir={moved}"])
        assert json.loads(capsys.readouterr().out) == before
    finally:
        moved.rename(pictures)


def test_pictures_of_other_classes_are_refused(
    log_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("dawn", "night"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("RGB", (40, 50)).save(tmp_path / name / f"{i}.png")
    with pytest.raises(SystemExit) as exit_code:
        main(["evaluate", "last", f"--log-dir={log_dir}", f"--data-dir={tmp_path}"])
    assert exit_code.value.code == 2
    assert "'dawn' is none that the network knows" in capsys.readouterr().err


def test_a_training_goes_on_where_the_pictures_have_been_moved(
    pictures: Path, log_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkpoint,) = log_dir.rglob("last.ckpt")
    moved = pictures.rename(pictures.with_name("moved"))
    try:
        train(moved, tmp_path, "--max-epochs=3", "--schedule=constant", f"--resume={checkpoint}")
        assert "epoch 3/3" in capsys.readouterr().out
    finally:
        moved.rename(pictures)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("cifr10", "unknown data set 'cifr10': did you mean cifar10?"),
        ("Fashion-MNIST", "did you mean fashionmnist?"),
        ("folder:", "names no folder; write folder:PATH"),
        ("folder", "names no folder; write folder:PATH"),
        ("{pictures}", "did you mean folder:{pictures}?"),
        ("folder:{pictures}/day", "holds pictures, but no folders"),
        ("folder:{pictures}/missing", "there is no such folder"),
    ],
)
@pytest.mark.parametrize("by", ["flag", "file"])
def test_wrong_names_are_told_in_a_line(
    pictures: Path,
    given: str,
    message: str,
    by: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = [f"--dataset={given.format(pictures=pictures)}"]
    if by == "file":
        (tmp_path / "file.yaml").write_text(f"dataset: '{options[0].partition('=')[2]}'\n")
        options = [f"--config={tmp_path / 'file.yaml'}"]
    with pytest.raises(SystemExit) as exit_code:
        main(["train", *options])
    assert exit_code.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message.format(pictures=pictures) in line


def test_a_network_of_other_outputs_is_refused(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train(pictures, tmp_path, "--model=CR(4), M(32), L(10)")
    assert "10 outputs, but there are 2 classes; end it with L(2)" in capsys.readouterr().err
