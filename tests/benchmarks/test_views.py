"""`benchmarks/views.py`: what a checkpoint's network gets right, by what it is shown."""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile

import pytest
import torch

import views
from ansnet.data import Shapes10DataModule
from ansnet.training.report import Result
from ansnet.training.run import train
from ansnet.training.settings import Settings
from ansnet.training.views import other_views
from results import read
from tests.training.small import few_shapes


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Result:
    with few_shapes(600, 130):
        options = {"max_epochs": 1, "lr": 1e-3, "batch_size": 50, "seed": 3, "accelerator": "cpu"}
        places = {"log_dir": str(tmp_path_factory.mktemp("logs")), "devices": 1, "compile": "none"}
        network = {"model": "CNR(8), M(4), CR(16), M(4), L(10)", "dataset": "shapes10", "ops": "ansnet"}
        augmented = {"test_time_flip": True, "test_time_shift": True, "channels_last": True}
        return train(Settings.complete({**options, **places, **network, **augmented}))


def test_they_are_those_that_the_run_reported(
    trained: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Shapes10DataModule, "val_size", 130)
    checkpoint = trained.log_dir / "checkpoints" / "last.ckpt"
    views.main([str(checkpoint), "--accelerator", "cpu", "--results", str(tmp_path)])
    (row,) = read(tmp_path / "views.csv", views.Accuracies)
    last = trained.history[-1]
    assert (row.seed, row.epochs, row.precision) == (3, 1, "32-true")
    assert row.plain == pytest.approx(last.val_accuracy, abs=1e-5)
    assert row.flip_shift == pytest.approx(last.val_accuracy_tta, abs=1e-5)
    assert len({row.plain, row.flip, row.shift, row.flip_shift}) > 1
    assert f"| 3 | {100 * row.plain:.2f} | {100 * row.flip:.2f} |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("missing/checkpoints/last.ckpt", "there is no such file; name a checkpoint"),
        ("alone/checkpoints/last.ckpt", "name a checkpoint where its run left it"),
        ("damaged/checkpoints/last.ckpt", "this is no checkpoint of CNR(8)"),
    ],
)
def test_what_is_no_checkpoint_of_a_run_is_said(
    place: str, message: str, trained: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run in ("alone", "damaged"):
        (tmp_path / run / "checkpoints").mkdir(parents=True)
        (tmp_path / run / "checkpoints" / "last.ckpt").touch()
    copyfile(trained.log_dir / "hparams.yaml", tmp_path / "damaged" / "hparams.yaml")
    with pytest.raises(SystemExit):
        views.main([str(tmp_path / place), "--results", str(tmp_path / "results")])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_each_choice_of_views_is_counted() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, 10))
    images, targets = torch.randn(500, 3, 4, 4), torch.randint(10, (500,))
    viewer = views.Viewer(network)
    with torch.no_grad():
        viewer.validation_step((images, targets), 0)
        for choice, right in viewer.right.items():
            shown = [(images, 1.0), *other_views(images, "flip" in choice, "shift" in choice)]
            scores = torch.stack([weight * network(view) for view, weight in shown]).sum(0)
            assert right == (scores.argmax(1) == targets).sum()
    assert len(set(viewer.right.values())) == 4
