"""`benchmarks/shipped_weights.py`: the card tells of the file that lies beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import torch

import shipped_weights
from ansnet.commands.evaluate import load, recorded
from ansnet.data import Shapes10DataModule
from ansnet.models.weights import read_weights
from ansnet.training.evaluation import evaluate
from ansnet.training.report import Result
from ansnet.training.run import train
from ansnet.training.settings import Settings
from tests.training.small import few_shapes

pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    with few_shapes(300, 130):
        options = {
            "max_epochs": 1,
            "batch_size": 50,
            "seed": 3,
            "accelerator": "cpu",
            "compile": "none",
        }
        network = {"model": "CNR(8), M(4), CR(16), M(4), L(10)", "dataset": "shapes10"}
        places = {"log_dir": str(tmp_path_factory.mktemp("logs"))}
        yield train(Settings.complete({**options, **places, **network}))


def test_the_figures_are_those_of_the_rounded_weights(
    trained: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped_weights.main(["small", str(trained.log_dir), "--folder", str(tmp_path)])
    card = json.loads((tmp_path / "small.json").read_text("utf-8"))
    file = tmp_path / "small.safetensors"
    assert card["sha256"] == sha256(file.read_bytes()).hexdigest()
    assert card["bytes"] == file.stat().st_size
    checkpoint = trained.log_dir / "checkpoints/last.ckpt"
    classifier, batches = load(checkpoint, recorded(checkpoint), None)
    shipped = read_weights(file)
    measured = evaluate(shipped.network, batches)
    assert card["accuracy"] == measured.accuracy
    assert card["loss"] == measured.loss
    before = evaluate(classifier.network, batches)
    assert card["before_rounding"]["loss"] == before.loss != measured.loss
    assert card["before_rounding"]["accuracy"]["plain"] == pytest.approx(
        trained.history[-1].val_accuracy, abs=1e-6
    )
    assert card["images"] == 130
    assert card["classes"] == list(Shapes10DataModule.classes)
    assert (card["training"]["seed"], card["training"]["epoch"]) == (3, 1)
    assert card["training"]["torch"] == str(torch.__version__)
    assert card["recipe"]["batch_size"] == 50
    page = (tmp_path / "small.md").read_text("utf-8")
    for told in (card["sha256"], f"| {measured.accuracy['flip']:.2%} |", "batch_size: 50", "seed 3"):
        assert told in page
    assert card["sha256"] in capsys.readouterr().out


def test_the_same_run_gives_the_same_file(trained: Result, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shipped_weights.main([name, str(trained.log_dir), "--folder", str(tmp_path)])
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_what_is_no_run_is_refused(
    trained: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone.ckpt"
    alone.write_bytes((trained.log_dir / "checkpoints/last.ckpt").read_bytes())
    (tmp_path / "empty.ckpt").touch()
    for run, message in (
        ("nowhere", "there is no run 'nowhere'"),
        (str(alone), "its run has left no record beside it"),
        (str(tmp_path / "empty.ckpt"), "this is no checkpoint of a run"),
    ):
        with pytest.raises(SystemExit) as exit_:
            shipped_weights.main(["small", run, "--folder", str(tmp_path / "new")])
        assert exit_.value.code == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
