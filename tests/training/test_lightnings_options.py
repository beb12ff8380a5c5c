"""Lightning's own ways to end, to change and to debug a training, by the command line's names."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import torch

from ansnet.compatibility import lightning
from ansnet.data import Shapes10DataModule
from ansnet.training import build
from ansnet.training.build import make_trainer
from ansnet.training.classifier import ImageClassifier
from ansnet.training.report import Result
from ansnet.training.run import train
from ansnet.training.settings import Settings, SettingsError

pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")
STILL = 1e-30  # a learning rate at which nothing moves


@pytest.fixture(autouse=True)
def _few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shapes10DataModule, "train_size", 300)
    monkeypatch.setattr(Shapes10DataModule, "val_size", 100)


def settings(log_dir: Path, **given: Any) -> Settings:
    chosen = {
        "model": "CNR(4), M(8), L(10)",
        "dataset": "shapes10",
        "max_epochs": 2,
        "batch_size": 50,
        "accelerator": "cpu",
        "log_dir": str(log_dir),
    }
    return Settings.complete({**chosen, **given})


def steps(result: Result, name: str) -> list[tuple[int, float]]:
    with (result.log_dir / "metrics.csv").open(newline="") as file:
        return [(int(row["step"]), float(row[name])) for row in csv.DictReader(file) if row[name]]


def test_a_training_that_gets_no_better_ends_early(tmp_path: Path) -> None:
    model = "CR(4), M(8), L(10)"  # without normalisation, whose averages move all the same
    result = train(settings(tmp_path, model=model, max_epochs=9, early_stopping=2, lr=STILL))
    assert result.history[-1].epoch == 3  # the first, and two that are no better
    assert "last epoch   3 of 9, ended early" in str(result)


def test_a_training_whose_time_is_over_is_validated_and_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(lightning.Callback):
        def on_train_batch_start(self, *unused: Any) -> None:
            sleep(1.1)

    own = build.changing
    monkeypatch.setattr(build, "changing", lambda chosen: [Slow(), *own(chosen)])
    result = train(settings(tmp_path, max_epochs=9, max_time="0:0:0:1", test_time_flip=True))
    last = result.history[-1]
    assert last.epoch == 1
    assert last.val_accuracy_tta is not None
    assert len(steps(result, "train/loss_step")) == 1
    assert (result.log_dir / "checkpoints" / "last.ckpt").is_file()


def test_without_time_for_a_step_nothing_was_trained(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--max-time 0:0:0:0 was over before the first step"):
        train(settings(tmp_path, max_time="0:0:0:0"))


def test_the_average_of_the_weights_is_validated_and_kept(tmp_path: Path) -> None:
    decay, trained = 0.5, {"max_epochs": 1, "limit_batches": 2}
    averaged = train(settings(tmp_path, ema=decay, **trained))
    state = torch.load(averaged.best_checkpoint, weights_only=True)
    # the steps are those of a training without it, so that its weights after one and two are known
    plain = [
        torch.load(train(settings(tmp_path, **{**trained, "limit_batches": n})).best_checkpoint)
        for n in (1, 2)
    ]
    name = "network.conv1.weight"
    one, two = (each["state_dict"][name] for each in plain)
    assert torch.equal(state["current_model_state"][name], two)
    assert torch.allclose(state["state_dict"][name], decay * one + (1 - decay) * two, atol=1e-7)
    classifier = ImageClassifier.load_from_checkpoint(averaged.best_checkpoint)
    assert torch.equal(classifier.state_dict()[name], state["state_dict"][name])


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_no_gradient_is_larger_than_asked_for(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[float] = []

    class Watch(lightning.Callback):
        def on_before_zero_grad(self, trainer: Any, module: Any, optimizer: Any) -> None:
            gradients = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
            if gradients:
                together = torch.cat(gradients)
                size = together.norm() if algorithm == "norm" else together.abs().max()
                sizes.append(float(size))

    monkeypatch.setattr(build, "changing", lambda _: [Watch()])
    options = {"gradient_clip_val": 1e-3, "gradient_clip_algorithm": algorithm}
    train(settings(tmp_path, max_epochs=1, **options))
    assert sizes
    assert max(sizes) == pytest.approx(1e-3, rel=1e-3)


def test_gradients_are_added_up_for_a_step(tmp_path: Path) -> None:
    result = train(settings(tmp_path, max_epochs=1, accumulate_grad_batches=4, lr=STILL))
    of_each = train(settings(tmp_path, max_epochs=1, lr=STILL))
    assert [step for step, _ in steps(result, "train/loss_step")] == [0, 1]  # 6 batches
    losses = [loss for _, loss in steps(of_each, "train/loss_step")]
    means = [sum(losses[:4]) / 4, sum(losses[4:]) / 2]
    assert [loss for _, loss in steps(result, "train/loss_step")] == pytest.approx(means, rel=1e-5)


def test_few_batches_of_each_subset(tmp_path: Path) -> None:
    result = train(settings(tmp_path, max_epochs=2, limit_batches=1))
    assert [step for step, _ in steps(result, "train/loss_step")] == [0, 1]
    assert result.history[-1].val_accuracy * 50 == pytest.approx(
        round(result.history[-1].val_accuracy * 50), abs=1e-4
    )


def test_a_network_learns_a_batch_by_heart_and_is_validated_by_it(tmp_path: Path) -> None:
    given = {"model": "CR(8), M(4), L(10)", "lr": 1e-2, "max_epochs": 30}
    result = train(settings(tmp_path, overfit_batches=1, **given))
    first, last = result.history[1], result.history[-1]
    assert last.val_loss < 0.5 * first.val_loss
    assert last.val_accuracy > 0.8
    # the loss before each step, and after the one before it: of the same images
    trained = [epoch.train_loss for epoch in result.history[2:]]
    validated = [epoch.val_loss for epoch in result.history[1:-1]]
    assert trained == pytest.approx(validated, rel=1e-5)


@pytest.mark.parametrize("package", ["wandb", "mlflow"])
def test_a_logger_that_is_not_installed_is_named(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=f"--{package} needs .* pip install {package}"):
        make_trainer(settings(tmp_path, **{package: True}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"gradient_clip_algorithm": "value"},
            "without --gradient-clip-val; add --gradient-clip-val 1.0",
        ),
        (
            {"overfit_batches": 1, "limit_batches": 2},
            "--overfit-batches 1 has no effect with --limit-batches 2; leave one of them out",
        ),
    ],
)
def test_what_has_no_effect_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        Settings.complete({"model": "vgg7", **given})


def test_the_few_batches_are_of_all_kinds_of_images_and_the_same_each_time(tmp_path: Path) -> None:
    data = build.make_data(settings(tmp_path, overfit_batches=2))
    data.images("train").targets.sort()  # as those of a folder lie
    loader = data.few("train", 2)
    first, second = [[targets for _, targets in loader] for _ in range(2)]
    assert [len(targets) for targets in first] == [50, 50]
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert len(set(first[0].tolist())) > 5


def test_an_average_is_resumed_as_one(tmp_path: Path) -> None:
    averaged = train(settings(tmp_path, max_epochs=1, ema=0.5, limit_batches=1))
    last = str(averaged.log_dir / "checkpoints" / "last.ckpt")
    with pytest.raises(SettingsError, match="with averaged weights, and goes on so; add --ema"):
        train(settings(tmp_path, resume=last, limit_batches=1))
    assert train(settings(tmp_path, resume=last, ema=0.5, limit_batches=1)).history[-1].epoch == 2
    plain = train(settings(tmp_path, max_epochs=1, limit_batches=1))
    last = str(plain.log_dir / "checkpoints" / "last.ckpt")
    with pytest.raises(SettingsError, match=r"without averaged weights.*; leave --ema out"):
        train(settings(tmp_path, resume=last, ema=0.5, limit_batches=1))


def test_a_resumed_training_has_the_patience_and_the_time_that_it_is_given(tmp_path: Path) -> None:
    still = {"model": "CR(4), M(8), L(10)", "lr": STILL, "max_epochs": 9}
    early = train(settings(tmp_path, early_stopping=1, **still))
    last = str(early.log_dir / "checkpoints" / "last.ckpt")
    assert early.history[-1].epoch == 2
    assert train(settings(tmp_path, early_stopping=4, resume=last, **still)).history[-1].epoch == 5
    limit = {"max_time": "0:1:0:0"}
    timed = train(settings(tmp_path, **{**still, "max_epochs": 1}, **limit))
    state = torch.load(timed.log_dir / "checkpoints" / "last.ckpt", weights_only=True)
    (timer,) = build.changing(settings(tmp_path, **limit))
    timer.load_state_dict(state["callbacks"][timer.state_key])
    assert timer.time_remaining() == 3600.0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": float("inf")}, "--lr inf: expected a finite number"),
        ({"seed": 2**32}, "--seed 4294967296: expected at most 4294967295"),
        ({"threads": 1025}, "--threads 1025: expected at most 1024"),
        ({"weights": ""}, "--weights has nothing after it"),
        ({"augment": True, "overfit_batches": 1}, "--augment has no effect with --overfit-batches 1"),
    ],
)
def test_what_no_training_can_be_carried_out_with_is_refused(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        Settings.complete({"model": "vgg7", "dataset": "shapes10", **given})


def test_what_the_machine_has_not_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--devices 10000: on a CPU they are processes"):
        train(settings(tmp_path, devices=10000))
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="file is no folder; name another"):
        train(settings(tmp_path / "file" / "logs"))
