"""``python -m ansnet evaluate``: the run's own figure, to the digit, and what it is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ansnet.commands.main import main
from ansnet.commands.train import main as train
from ansnet.data import Shapes10DataModule
from ansnet.training.history import read_history
from tests.training.small import few_shapes

pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")


@pytest.fixture(scope="module")
def log_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a run of two epochs on few images."""
    folder = tmp_path_factory.mktemp("logs")
    options = ["--max-epochs=2", "--batch-size=50", "--dataset=shapes10", "--accelerator=cpu"]
    with few_shapes(300, 100):
        train([*options, "--model=CNR(8), M(4), CR(16), M(4), L(10)", f"--log-dir={folder}"])
        yield folder


@pytest.mark.parametrize("best", [False, True])
def test_it_agrees_with_what_the_run_has_recorded(
    log_dir: Path, best: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--best"] if best else []
    assert main(["evaluate", "last", "--log-dir", str(log_dir), "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    (table,) = log_dir.rglob("metrics.csv")
    history = {epoch.epoch: epoch.val_accuracy for epoch in read_history(table)}
    own = max(history.values()) if best else history[2]
    assert found["own_accuracy"] == own
    assert found["accuracy"]["plain"] == pytest.approx(own, abs=1e-6)  # a mean in float32
    assert sum(map(sum, found["confusion"])) == 100
    assert sum(row[i] for i, row in enumerate(found["confusion"])) == round(100 * own)


def test_a_person_reads_a_line_a_class(log_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "version_0", f"--log-dir={log_dir}"]) == 0
    shown = capsys.readouterr().out
    assert "100 validation images of shapes10" in shown
    assert "(recorded by the run: " in shown
    lines = shown.splitlines()
    assert all(any(line.startswith(name) for line in lines) for name in Shapes10DataModule.classes)


def test_nothing_is_written(log_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in log_dir.rglob("*"))
    main(["evaluate", "last", f"--log-dir={log_dir}"])
    assert sorted((path, path.stat().st_mtime_ns) for path in log_dir.rglob("*")) == before


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"epoch,step\n0.0,3\n", None])
def test_what_is_no_checkpoint_is_refused_in_one_line(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.ckpt"
    if content is None:
        torch.save({"state_dict": {}}, file)
    else:
        file.write_bytes(content)
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", str(file)])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert str(file) in error
    assert "this is no checkpoint of a run" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "bf16-mixed"])
def test_it_computes_in_the_precision_of_the_run(
    precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--max-epochs=1", "--batch-size=16", "--dataset=shapes10", "--accelerator=cpu"]
    model = "--model=CNR(8), M(4), CR(16), M(4), L(10)"
    with few_shapes(600, 300):
        train([*options, model, f"--log-dir={tmp_path}", f"--precision={precision}"])
        capsys.readouterr()
        assert main(["evaluate", "last", "--log-dir", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"]["plain"] == pytest.approx(found["own_accuracy"], abs=1e-6)


def test_a_figure_of_other_images_is_not_laid_beside(
    log_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--max-epochs=1", "--batch-size=50", "--dataset=shapes10", "--accelerator=cpu"]
    train([*options, "--model=CR(4), M(8), L(10)", f"--log-dir={tmp_path}", "--limit-batches=1"])
    assert main(["evaluate", "last", "--log-dir", str(tmp_path)]) == 0
    assert "recorded by the run" not in capsys.readouterr().out


def test_a_damaged_record_beside_the_checkpoint_is_named_in_one_line(
    log_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkpoint,) = log_dir.rglob("last.ckpt")
    copy = tmp_path / "run" / "checkpoints" / "last.ckpt"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(checkpoint.read_bytes())
    (tmp_path / "run" / "hparams.yaml").write_text("model: [vgg7\n")
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", str(copy)])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert f"{tmp_path / 'run' / 'hparams.yaml'}: it is damaged" in error
    assert error.count("\n") == 1
