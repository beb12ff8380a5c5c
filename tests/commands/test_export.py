"""``python -m ansnet export``: the file gives the checkpoint's scores, or there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ansnet.commands.main import main
from ansnet.commands.train import main as train
from ansnet.compatibility import lightning
from ansnet.data import Shapes10DataModule
from ansnet.models import Network
from ansnet.training import export as exporting
from ansnet.training.classifier import ImageClassifier
from ansnet.training.formats import FORMATS
from ansnet.training.trained import read_run
from tests.training.small import few_shapes

# Lightning beside torch 2.14, whose own file of ONNX's operators is deprecated
pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")

SMALL = "CNR(4), M(4), res(CNR(4), CR(4)), M(4), LNR(8), L(10)"
KINDS = [
    pytest.param(kind, marks=pytest.mark.skipif(bool(missing), reason=f"needs {missing}"))
    for kind, form in FORMATS.items()
    for missing in [[name for name in form.packages if find_spec(name) is None]]
]


def trained(folder: Path, *options: str) -> Path:
    """A run of an epoch on few images."""
    given = ["--dataset=shapes10", "--batch-size=25", "--accelerator=cpu", "--max-epochs=1"]
    train([*given, f"--model={SMALL}", f"--log-dir={folder}", *options])
    (run,) = folder.glob("*/*")
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Runs by what is special about them."""
    special: dict[str, list[str]] = {
        "plain": [],
        "torch": ["--ops=torch"],
        "bf16": ["--precision=bf16-true"],
        "float64": ["--precision=64-true", "--no-channels-last"],
    }
    with few_shapes(50, 25):
        yield {
            name: trained(tmp_path_factory.mktemp(name), *options) for name, options in special.items()
        }


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line about wrong input."""
    with pytest.raises(SystemExit) as exit_:
        main(["export", *words])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("kind", KINDS)
def test_the_printed_lines_give_the_checkpoints_scores(
    runs: dict[str, Path], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"small{FORMATS[kind].suffixes[0]}"
    assert main(["export", str(runs["plain"]), "--format", kind, "--out", str(file)]) == 0
    shown = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [file]
    assert os.access(file, os.R_OK)
    assert file.stat().st_mode & 0o777 == 0o666 & ~current_umask()
    assert f"{file.stat().st_size / 1e6:.2f} MB" in shown
    lines = [line[4:] for line in shown.splitlines() if line.startswith("    ")]
    images = torch.rand(3, 3, 32, 32)
    torch.save(images, tmp_path / "images.pt")
    (given,) = [line for line in lines if line.startswith("images = torch.rand(1, 3, 32, 32)")]
    lines[lines.index(given)] = f"images = torch.load({str(tmp_path / 'images.pt')!r})"
    without = ["import sys; sys.modules['ansnet'] = None"] if kind != "safetensors" else []
    after = f"torch.save(torch.as_tensor(scores), {str(tmp_path / 'scores.pt')!r})"
    command = [sys.executable, "-c", "\n".join([*without, *lines, after])]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    classifier = read_run(runs["plain"] / "checkpoints/last.ckpt").eval()
    by: Any = classifier.normalisation
    mean, std = (torch.tensor(by[name]).view(-1, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        right = classifier((images - mean) / std)
    torch.testing.assert_close(torch.load(tmp_path / "scores.pt"), right, rtol=1e-4, atol=1e-4)


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("special", ["torch", "bf16", "float64"])
def test_whatever_a_run_computed_in(
    runs: dict[str, Path], tmp_path: Path, kind: str, special: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"small{FORMATS[kind].suffixes[0]}"
    assert main(["export", str(runs[special]), f"--format={kind}", f"--out={file}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes"] == file.stat().st_size
    assert told["batch_sizes"] == [1, 7]
    assert 0 <= told["largest_difference"] < 1e-5 * told["largest_score"]
    assert told["classes"] == list(Shapes10DataModule.classes)
    assert (told["dataset"], told["in_shape"]) == ("shapes10", [3, 32, 32])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.values[0] != "safetensors"])
def test_a_file_may_normalise_its_images_itself(
    runs: dict[str, Path], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(runs["plain"]), f"--format={kind}", "--with-normalisation"]
    file = tmp_path / f"small{FORMATS[kind].suffixes[0]}"
    assert main(["export", *words, f"--out={file}"]) == 0
    shown = capsys.readouterr().out
    assert "float32, from 0 to 1\n" in shown
    assert "mean" not in shown
    images = torch.rand(3, 3, 32, 32)
    classifier = read_run(runs["plain"] / "checkpoints/last.ckpt").eval()
    by: Any = classifier.normalisation
    mean, std = (torch.tensor(by[name]).view(-1, 1, 1) for name in ("mean", "std"))
    with torch.no_grad(), exporting.quiet():
        scores = exporting.FUNCTIONS[kind][1](file)(images)
        right = classifier((images - mean) / std)
    torch.testing.assert_close(scores, right, rtol=1e-4, atol=1e-4)


def test_a_file_of_weights_is_exported_on(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, further = tmp_path / "small.safetensors", tmp_path / "small.pt"
    assert main(["export", str(runs["plain"]), "--format=safetensors", f"--out={weights}"]) == 0
    assert main(["export", str(weights), "--format=torch", f"--out={further}"]) == 0
    images = torch.rand(3, 3, 32, 32)
    classifier = read_run(runs["plain"] / "checkpoints/last.ckpt").eval()
    with torch.no_grad():
        scores = exporting.load_torch(further)(images)
        torch.testing.assert_close(scores, classifier(images), rtol=1e-4, atol=1e-4)
    weights.write_bytes(b"no weights")
    capsys.readouterr()
    assert "no safetensors file" in refused([str(weights), "--format=pt2"], capsys)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.values[0] in ("onnx", "pt2")])
def test_a_fixed_batch(
    runs: dict[str, Path], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"small.{kind}"
    assert main(["export", str(runs["plain"]), f"--format={kind}", "--batch=3", f"--out={file}"]) == 0
    assert "images    3 × 3 × 32 × 32" in capsys.readouterr().out
    with exporting.quiet():
        scores = exporting.FUNCTIONS[kind][1](file)
        assert scores(torch.rand(3, 3, 32, 32)).shape == (3, 10)
        with pytest.raises(Exception, match=r"3"):
            scores(torch.rand(4, 3, 32, 32))


def test_the_best_epoch_and_a_name_after_the_run(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for options in ([], ["--best"]):
        assert main(["export", str(runs["plain"]), "--format=torch", *options]) == 0
    elsewhere = tmp_path / "mine.ckpt"
    elsewhere.write_bytes((runs["plain"] / "checkpoints/last.ckpt").read_bytes())
    assert main(["export", "mine.ckpt", "--format=torch"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "notation_version_0.pt",
        "notation_version_0_best.pt",
        "mine.ckpt",
        "mine.pt",
    }


def shifted(file: Path) -> exporting.Scores:
    network = exporting.load_torch(file)
    return lambda images: network(images) + 0.01


def not_numbers(file: Path) -> exporting.Scores:
    network = exporting.load_torch(file)
    return lambda images: network(images) * torch.nan


def one_image_only(file: Path) -> exporting.Scores:
    network = exporting.load_torch(file)
    return lambda images: network(images[:1])


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (shifted, "loaded again, it gives scores that differ by up to 0.01"),
        (not_numbers, "loaded again, it gives scores that differ by up to inf"),
        (one_image_only, "of 7 images it gives scores of shape (1, 10)"),
    ],
)
def test_a_file_that_gives_other_scores_is_not_left_behind(
    runs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    load: Any,
    message: str,
) -> None:
    monkeypatch.setitem(exporting.FUNCTIONS, "torch", (exporting.write_torch, load))
    words = [str(runs["plain"]), "--format=torch", f"--out={tmp_path / 'small.pt'}"]
    assert main(["export", *words]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_rounding_of_float16_is_noticed(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classifier = read_run(runs["plain"] / "checkpoints/last.ckpt")
    network: Any = classifier.network.eval()
    subject = exporting.Subject(exporting.TrainedNetwork(network))

    def halved(images: Tensor) -> Tensor:
        return nn.Module.__call__(network.half(), images.half()).float()

    with torch.no_grad(), exporting.quiet(), pytest.raises(exporting.ExportError, match="differ by"):
        exporting.check(subject, halved)


def test_what_was_there_stays_unless_it_is_to_go(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "small.pt"
    file.write_text("mine")
    words = [str(runs["plain"]), "--format=torch", f"--out={file}"]
    assert "is there already; name another --out, or overwrite it by --force" in refused(words, capsys)
    assert file.read_text() == "mine"
    assert main(["export", *words, "--force"]) == 0
    assert torch.load(file, weights_only=True)["dataset"] == "shapes10"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "tflite"], "invalid choice: 'tflite' (choose from"),
        ([], "say what to write: --format onnx, --format torch, --format safetensors or --format pt2"),
        (["--format=onnx", "--batch=0"], "--batch: got 0, expected a whole number above 0"),
        (["--format=torch", "--batch=2"], "--batch has no effect with --format torch"),
        (["--format=safetensors", "--with-normalisation"], "--with-normalisation has no effect with"),
        (["--format=pt2", "--out=a.onnx"], "the name of a file of format pt2 ends in .pt2"),
        (["--format=torch", "--out=a.bin"], "the name of a file of format torch ends in .pt or .pth"),
        (["--format=pt2", "--out=nowhere/a.pt2"], "the folder nowhere does not exist"),
        (["--format=pt2", "--out=file/a.pt2"], "the folder file is a file"),
        (["--format=pt2", "--out=folder.pt2"], "this is a folder; name a file in it"),
        pytest.param(
            ["--format=pt2", "--out=/sys/a.pt2"],
            "/sys/a.pt2",
            marks=pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs Linux's /sys"),
        ),
    ],
)
def test_wrong_options_are_one_line(
    runs: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder.pt2").mkdir()
    assert message in refused([str(runs["plain"]), *words], capsys)
    assert {path.name for path in tmp_path.rglob("*")} == {"file", "folder.pt2"}


def test_a_missing_package_is_named(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ansnet.commands.export.find_spec", lambda name: None)
    error = refused([str(runs["plain"]), "--format=onnx"], capsys)
    assert "--format onnx needs onnx, onnxscript, onnxruntime" in error
    assert "pip install 'ansnet[onnx]'" in error


def saved(network: nn.Module, file: Path, **given: Any) -> str:
    """A checkpoint of a network that was not trained."""
    trainer = lightning.Trainer(logger=False, accelerator="cpu", enable_progress_bar=False)
    trainer.strategy.connect(ImageClassifier(network, **given))
    trainer.save_checkpoint(file)
    return str(file)


def test_a_network_that_no_notation_describes_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), tmp_path / "own.ckpt")
    error = refused([file, "--format=pt2"], capsys)
    assert f"{file}: the checkpoint does not say what network its weights are of" in error


def test_a_network_that_nobody_normalised_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = saved(Network("M(8), L(3)"), tmp_path / "own.ckpt"), tmp_path / "own.pt"
    words = [file, "--format=torch", f"--out={out}"]
    error = refused([*words, "--with-normalisation"], capsys)
    assert "it does not say by what its images were normalised" in error
    assert main(["export", *words]) == 0
    assert "normalised as in training\nscores    N × classes\n" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_a_network_that_diverged_is_not_exported(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    network = Network("M(8), L(3)")
    nn.init.constant_(network.get_submodule("linear1").weight, torch.nan)  # type: ignore[arg-type]
    out = tmp_path / f"own{FORMATS[kind].suffixes[0]}"
    file = saved(network, tmp_path / "own.ckpt")
    assert main(["export", file, f"--format={kind}", f"--out={out}"]) == 1
    assert "not finite" in capsys.readouterr().err
    assert not out.exists()


def test_runs_without_a_checkpoint_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vgg7/version_0").mkdir(parents=True)
    words = ["version_0", f"--log-dir={tmp_path}", "--format=onnx"]
    assert "holds no checkpoint of the last epoch" in refused(words, capsys)
