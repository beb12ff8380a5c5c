"""`ansnet.training.find_lr`, and ``--find-lr``."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import LearningRateFinder
from lightning.pytorch.tuner import Tuner

from ansnet.compatibility import lightning
from ansnet.data import Shapes10DataModule
from ansnet.models import create_model
from ansnet.training import find_lr, run
from ansnet.training.classifier import ImageClassifier
from ansnet.training.find_lr import Search
from ansnet.training.repeat import repeat
from ansnet.training.report import Result
from ansnet.training.run import find_learning_rate, train
from ansnet.training.settings import Settings, SettingsError
from tests.training.small import few_shapes, small_settings

SMALL = "CNR(8), M(4), CNR(16), M(4), L(10)"


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    with few_shapes(400, 50) as patch:
        patch.setattr(find_lr, "STEPS", 60)
        patch.setattr(run, "STEPS", 60)
        yield


def settings(log_dir: Path, **given: Any) -> Settings:
    chosen = {
        "model": SMALL,
        "max_epochs": 1,
        "batch_size": 100,
        "augment": True,
        "precision": "32-true",
        "optimizer": "muon",
        "schedule": "linear",
        "warmup": 0.25,
        "bias_lr_factor": 4.0,
    }
    return small_settings(log_dir, **{**chosen, **given})


def rows(result: Result) -> list[dict[str, str]]:
    """The rows of ``metrics.csv``, less what is measured in time."""
    with (result.log_dir / "metrics.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if "second" not in name}
            for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return train(settings(tmp_path_factory.mktemp("found"), find_lr=True))


def test_it_trains_as_if_what_it_finds_had_been_given(found: Result, tmp_path: Path) -> None:
    given = train(settings(tmp_path, lr=found.lr))
    assert rows(found) == rows(given)
    weights = [
        torch.load(result.best_checkpoint, weights_only=True)["state_dict"] for result in (found, given)
    ]
    for name, weight in weights[0].items():
        assert torch.equal(weight, weights[1][name])


def test_what_it_finds_is_recorded_and_drawn(found: Result) -> None:
    record = yaml.safe_load((found.log_dir / "hparams.yaml").read_text())
    assert (record["lr"], record["find_lr"]) == (found.lr, True)
    assert (found.log_dir / "find_lr.png").stat().st_size > 5_000
    assert float(f"{found.lr:.2g}") == found.lr


def test_what_it_finds_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = train(settings(tmp_path, find_lr=True, seed=1))
    said = capsys.readouterr().out
    assert f"learning rate {result.lr:g}, where the loss fell most steeply: " in said
    assert f"lr {result.lr:g}, " in said


def test_several_seeds_train_with_what_the_first_has_found(tmp_path: Path) -> None:
    repetition = repeat(settings(tmp_path, find_lr=True), 2)
    records = [
        yaml.safe_load((Path(figures.log_dir) / "hparams.yaml").read_text())
        for figures in repetition.runs
    ]
    assert records[0]["lr"] == records[1]["lr"]
    assert [record["find_lr"] for record in records] == [True, False]


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_every_group_keeps_its_share_and_the_rates_rise_evenly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    taken: list[list[float]] = []
    original = ImageClassifier.optimizer_step

    def noted(module: ImageClassifier, epoch: int, index: int, optimizer: Any, *rest: Any) -> None:
        taken.append([group["lr"] for group in optimizer.param_groups])
        original(module, epoch, index, optimizer, *rest)

    monkeypatch.setattr(ImageClassifier, "optimizer_step", noted)
    search = find_learning_rate(settings(tmp_path, optimizer=optimizer, bias_lr_factor=8.0))
    assert [weights for weights, _ in taken] == pytest.approx(search.rates)
    assert [biases for _, biases in taken] == pytest.approx([8 * rate for rate in search.rates])
    assert search.rates[0] == pytest.approx(1e-5)
    steps = [math.log10(b / a) for a, b in zip(search.rates, search.rates[1:], strict=False)]
    assert steps == pytest.approx([6 / 59] * len(steps))


def measured(*losses: float) -> Search:
    return Search([10.0**place for place in range(-len(losses), 0)], list(losses))


def test_the_steepest_place_is_found_whatever_the_noise() -> None:
    # a loss that falls by a sigmoid around the 40th rate and rises behind the 60th
    losses = [2 - 1 / (1 + math.exp(-(i - 40) / 3)) + max(0, i - 60) ** 2 / 50 for i in range(80)]
    noise = (torch.rand(80) - 0.5).mul(0.1).tolist()
    rates = [1e-5 * 10 ** (i / 16) for i in range(80)]
    search = Search(rates, [loss + noise[i] for i, loss in enumerate(losses)])
    steepest = search.steepest()
    assert steepest is not None
    assert abs(steepest - 40) <= 4
    assert search.rate == pytest.approx(rates[steepest], rel=0.05)


@pytest.mark.parametrize(
    "losses",
    [
        (),
        (2.0,),
        (math.nan,),
        (2.0, math.inf),
        (1.0, 2.0, 3.0),
        (2.0,) * 20,
        (2.0, 3.0) * 20 + (2.0,) * 5,
    ],
)
def test_where_the_loss_does_not_fall_there_is_no_rate(losses: tuple[float, ...]) -> None:
    search = measured(*losses)
    assert search.steepest() is None
    with pytest.raises(ValueError, match="no rate from 1e-05 to 10"):
        _ = search.rate


def test_it_stops_once_the_loss_has_diverged() -> None:
    assert not measured(*[2.0] * 30, 10.0).has_diverged()
    assert measured(*[2.0] * 30, *[9.0] * 8).has_diverged()
    assert measured(2.0, math.nan).has_diverged()
    assert not measured(2.0, 100.0).has_diverged()  # of two steps nothing is known


def test_a_network_that_learns_at_no_rate_is_answered_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Search, "steepest", lambda self: None)
    with pytest.raises(SettingsError, match=r"--find-lr finds no rate .*; name one with --lr, or"):
        train(settings(tmp_path, find_lr=True))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": 0.1}, "--lr 0.1 has no effect with --find-lr; add --no-find-lr or leave it out"),
        ({"devices": 2}, "--find-lr searches on one device, and not with --devices 2"),
    ],
)
def test_what_a_search_does_not_go_with(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as error:
        settings(tmp_path, find_lr=True, **given)
    assert "\n" not in str(error.value)


def test_a_rate_of_a_file_gives_way_to_the_search() -> None:
    given = {"model": "vgg7", "dataset": "cifar10", "lr": 0.5, "find_lr": True}
    assert Settings.complete(given, asked_for={"find_lr"}).find_lr


def fit(classifier: ImageClassifier, *callbacks: Any) -> lightning.Trainer:
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=2,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
    )
    with torch.compiler.set_stance("force_eager"):
        trainer.fit(classifier, datamodule=Shapes10DataModule(25))
    return trainer


lightnings_own = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.:FutureWarning")


@lightnings_own
@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_lightnings_callback_is_answered_with_what_works(schedule: str) -> None:
    classifier = ImageClassifier(create_model(SMALL), schedule=schedule)
    with pytest.raises(ValueError, match=r"no effect as a callback.*Tuner.*--find-lr") as error:
        fit(classifier, LearningRateFinder(num_training_steps=20))
    assert "\n" not in str(error.value)


@lightnings_own
def test_lightnings_tuner_works(tmp_path: Path) -> None:
    classifier = ImageClassifier(create_model(SMALL), schedule="linear", bias_lr_factor=2.0)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=2,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    with torch.compiler.set_stance("force_eager"):
        data = Shapes10DataModule(25)
        found = Tuner(trainer).lr_find(classifier, datamodule=data, num_training=20)
        assert found is not None
        assert classifier.lr == found.suggestion()
        trainer.fit(classifier, datamodule=data)
    groups = trainer.optimizers[0].param_groups
    assert [group["initial_lr"] for group in groups] == [classifier.lr, 2 * classifier.lr]
