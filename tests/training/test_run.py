"""`ansnet.training.run`: whole runs, small ones, and what they leave."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from ansnet.compatibility import lightning
from ansnet.data import ImageDataModule, Shapes10DataModule
from ansnet.models import create_model
from ansnet.training import machine, run
from ansnet.training.build import make_classifier
from ansnet.training.callbacks import StepLog
from ansnet.training.classifier import ImageClassifier, SubsetMeans
from ansnet.training.machine import complete_by_device
from ansnet.training.metrics import accuracy
from ansnet.training.report import Result
from ansnet.training.run import train
from ansnet.training.schedule import learning_rate_factor
from ansnet.training.settings import Settings, SettingsError
from ansnet.training.views import other_views
from tests.training.small import few_shapes, small_settings

SMALL = "CNR(8), M(4), CR(16), M(4), LR(16), L(10)"
UNCHANGING = {"model": "CR(4), M(8), L(10)", "lr": 1e-30}
BATCH = 50  # 600 training images make 12 steps, 100 validation images 2


@pytest.fixture(scope="module", autouse=True)
def _few_images() -> Iterator[None]:
    with few_shapes(600, 100):
        yield


def settings(log_dir: Path, **given: Any) -> Settings:
    chosen = {"model": SMALL, "lr": 1e-3, "batch_size": BATCH, "augment": True, "precision": "32-true"}
    return small_settings(log_dir, **{**chosen, **given})


def rows(result: Result) -> list[dict[str, str]]:
    """The rows of ``metrics.csv``, less what is measured in time."""
    with (result.log_dir / "metrics.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if "second" not in name}
            for row in csv.DictReader(file)
        ]


def column(result: Result, name: str) -> list[float]:
    with (result.log_dir / "metrics.csv").open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


def saved_keys(checkpoint: Path) -> list[str]:
    return list(torch.load(checkpoint, weights_only=True)["state_dict"])


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return train(settings(tmp_path_factory.mktemp("logs")))


@pytest.fixture(scope="module")
def unchanging(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A run of which no epoch is better than the first."""
    return train(settings(tmp_path_factory.mktemp("unchanging"), **UNCHANGING))


def test_curves_start_from_the_untrained_network(result: Result) -> None:
    untrained, *_, last = result.history
    assert untrained.epoch == 0
    assert abs(untrained.train_loss - math.log(10)) < 0.3
    assert abs(untrained.val_loss - math.log(10)) < 0.3
    assert last.epoch == 2
    assert last.train_loss != untrained.train_loss


def test_every_step_and_every_epoch_is_recorded(result: Result) -> None:
    for name in ("train/loss_step", "train/accuracy_step", "learning_rate", "images_per_second_step"):
        assert len(column(result, name)) == 24
    for name in ("train/loss", "train/accuracy", "val/loss", "val/accuracy"):
        assert len(column(result, name)) == 3
    assert len(column(result, "images_per_second")) == 2
    assert min(column(result, "images_per_second")) > 0
    assert column(result, "learning_rate") == pytest.approx([1e-3] * 24)


def test_tensorboard_has_the_same_figures(result: Result) -> None:
    events = EventAccumulator(str(result.log_dir)).Reload()
    assert {"train/loss_step", "train/loss", "val/accuracy", "speed/images_per_second"} <= set(
        events.Tags()["scalars"]
    )
    assert [event.value for event in events.Scalars("val/accuracy")] == pytest.approx(
        [epoch.val_accuracy for epoch in result.history]
    )
    assert [event.step for event in events.Scalars("val/accuracy")] == [0, 11, 23]


def test_the_training_figures_are_means_over_the_epochs_images(result: Result) -> None:
    steps = column(result, "train/loss_step")  # all batches are of one size here
    for epoch in (1, 2):
        mean = sum(steps[12 * epoch - 12 : 12 * epoch]) / 12
        assert result.history[epoch].train_loss == pytest.approx(mean, rel=1e-5)


def test_each_image_weighs_the_same_also_those_of_a_smaller_last_batch(tmp_path: Path) -> None:
    means = SubsetMeans()
    means.update(torch.tensor([1.0, 0.5]), 32)
    means.update(torch.tensor([6.0, 0.0]), 8)
    assert means.loss.compute().item() == 2.0
    assert means.accuracy.compute().item() == pytest.approx(0.4)  # in float32
    last = train(settings(tmp_path, batch_size=64, max_epochs=1, test_time_flip=True)).history[-1]
    for share in (last.val_accuracy, last.val_accuracy_tta):  # of 100 images, 64 and 36
        assert 100 * share == pytest.approx(round(100 * share), abs=1e-4)


def test_what_produced_the_figures_is_recorded(result: Result) -> None:
    record = yaml.safe_load((result.log_dir / "hparams.yaml").read_text())
    assert record["model"] == record["notation"] == SMALL
    assert record["torch"] == torch.__version__
    assert record["parameters"] == sum(p.numel() for p in create_model(SMALL).parameters())
    assert {"seed", "lr", "batch_size", "threads", "lightning", "python"} <= record.keys()
    assert (record["precision"], record["channels_last"], record["compile"]) == (
        "32-true",
        False,
        "none",
    )


def test_there_is_a_picture_and_a_summary(result: Result) -> None:
    assert (result.log_dir / "curves.png").stat().st_size > 10_000
    summary = str(result)
    assert f"best epoch   {result.best.epoch} of 2" in summary
    assert f"{result.best.val_accuracy:.2%}" in summary
    assert str(result.best_checkpoint) in summary


def test_the_best_checkpoint_gives_the_best_figures(result: Result) -> None:
    classifier = ImageClassifier.load_from_checkpoint(
        result.best_checkpoint, network=create_model(SMALL)
    ).eval()
    (images, targets), *rest = Shapes10DataModule(batch_size=1000).val_dataloader()
    assert not rest
    assert accuracy(classifier(images), targets).item() == pytest.approx(result.best.val_accuracy)
    assert (result.best_checkpoint.parent / "last.ckpt").exists()


def test_same_seed_same_run(result: Result, tmp_path: Path) -> None:
    assert rows(train(settings(tmp_path))) == rows(result)


def test_another_seed_another_run(result: Result, tmp_path: Path) -> None:
    other = train(settings(tmp_path, seed=1, max_epochs=1))
    assert column(other, "train/loss_step")[:12] != column(result, "train/loss_step")[:12]


def test_the_control_follows_the_same_curve(result: Result, tmp_path: Path) -> None:
    control = train(settings(tmp_path, ops="torch"))
    assert type(make_classifier(settings(tmp_path, ops="torch")).network.conv1) is nn.Conv2d
    # float32: rounding grows from step to step, by Adam's division too; measured: 3e-6 after 24
    assert column(control, "train/loss_step") == pytest.approx(
        column(result, "train/loss_step"), abs=1e-4
    )


def test_a_resumed_run_goes_on_as_if_it_had_not_been_interrupted(
    result: Result, tmp_path: Path
) -> None:
    first = train(settings(tmp_path, max_epochs=1))
    resumed = train(settings(tmp_path, resume=str(first.best_checkpoint.parent / "last.ckpt")))
    assert rows(resumed) == rows(result)
    assert resumed.log_dir != first.log_dir
    events = [EventAccumulator(str(run.log_dir)).Reload() for run in (resumed, result)]
    for name in events[1].Tags()["scalars"]:
        if "second" not in name:
            resumed_events, expected = (
                [(event.step, event.value) for event in run.Scalars(name)] for run in events
            )
            assert resumed_events == expected


def test_the_best_epoch_of_a_resumed_run_may_be_one_before_the_checkpoint(
    unchanging: Result, tmp_path: Path
) -> None:
    last = unchanging.best_checkpoint.with_name("last.ckpt")
    resumed = train(settings(tmp_path, **UNCHANGING, max_epochs=3, resume=str(last)))
    assert [epoch.epoch for epoch in resumed.history] == [0, 1, 2, 3]
    assert resumed.best.epoch == 1
    assert resumed.best_checkpoint.parent == resumed.log_dir / "checkpoints"
    assert torch.load(resumed.best_checkpoint, weights_only=True)["global_step"] == 12
    assert len(list(last.parent.iterdir())) == 2  # as they were


@pytest.mark.parametrize("missing", ["metrics.csv", "checkpoints/best-*.ckpt"])
def test_without_the_earlier_record_a_resumed_run_records_its_own_part(
    result: Result, tmp_path: Path, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(settings(tmp_path, max_epochs=1))
    (path,) = first.log_dir.glob(missing)
    path.unlink()
    resumed = train(settings(tmp_path, resume=str(first.log_dir / "checkpoints" / "last.ckpt")))
    begin = 12 if missing == "metrics.csv" else 0
    assert [epoch.epoch for epoch in resumed.history] == ([2] if begin else [0, 1, 2])
    assert column(resumed, "train/loss_step") == column(result, "train/loss_step")[begin:]
    assert resumed.best_checkpoint.parent == resumed.log_dir / "checkpoints"
    told = f"what it recorded before is not all there: there is no {path.resolve()}\n"
    assert told in capsys.readouterr().out


def test_the_earlier_record_is_found_beside_a_checkpoint_named_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(settings(tmp_path, max_epochs=1))
    monkeypatch.chdir(first.log_dir / "checkpoints")
    assert len(train(settings(tmp_path, resume="last.ckpt")).history) == 3


def test_the_last_checkpoint_is_the_last_and_the_best_the_best(unchanging: Result) -> None:
    assert unchanging.best.epoch == 1
    assert unchanging.best_checkpoint.name.startswith("best-epoch=1-")
    assert {path.name for path in unchanging.best_checkpoint.parent.iterdir()} == {
        "last.ckpt",
        unchanging.best_checkpoint.name,
    }
    steps = [
        torch.load(unchanging.best_checkpoint.with_name(name), weights_only=True)["global_step"]
        for name in (unchanging.best_checkpoint.name, "last.ckpt")
    ]
    assert steps == [12, 24]


@pytest.mark.parametrize("ops", ["ansnet", "torch"])
@pytest.mark.parametrize(
    ("precision", "dtype", "tolerance"),
    [("bf16-mixed", torch.float32, 0.02), ("64-true", torch.float64, 1e-4)],  # 8 bits; float32's own
)
def test_other_precisions_follow_the_curve(
    result: Result, tmp_path: Path, precision: str, dtype: torch.dtype, tolerance: float, ops: str
) -> None:
    other = train(settings(tmp_path, precision=precision, ops=ops, max_epochs=1))
    weights = torch.load(other.best_checkpoint, weights_only=True)["state_dict"]
    assert weights["network.conv1.weight"].dtype == dtype
    assert column(other, "train/loss_step") == pytest.approx(
        column(result, "train/loss_step")[:12], abs=tolerance
    )


def test_steps_are_recorded_the_same_however_long_they_are_held_back(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StepLog, "interval", 0.0)
    assert rows(train(settings(tmp_path))) == rows(result)


@pytest.mark.filterwarnings("ignore")  # of torch.compile, another set in each version
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "muon"])
def test_a_checkpoint_goes_with_any_memory_format_and_compilation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    # what is generated is another test's: this one is about the keys and the layout of the moments
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="eager"))
    plain = {"channels_last": False, "compile": "none", "optimizer": optimizer, "lr": 1e-3}
    other = {**plain, "channels_last": True, "compile": "network"}
    expected = train(settings(tmp_path, **plain))
    for start, end in ((plain, other), (other, plain)):
        first = train(settings(tmp_path, **start, max_epochs=1))
        last = first.best_checkpoint.with_name("last.ckpt")
        resumed = train(settings(tmp_path, **end, resume=str(last)))
        # float32's rounding, as between ansnet and torch
        assert column(resumed, "train/loss_step") == pytest.approx(
            column(expected, "train/loss_step"), abs=1e-4
        )
        assert saved_keys(last) == saved_keys(expected.best_checkpoint)


@pytest.mark.filterwarnings("ignore")  # of torch.compile, another set in each version
@pytest.mark.parametrize(("compilation", "compiles"), [("none", False), ("operations", True)])
def test_none_keeps_everything_from_being_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compilation: str, compiles: bool
) -> None:
    compiled = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        compiled.append(graph)
        return graph

    def make_compiled_classifier(chosen: Settings, data: ImageDataModule) -> ImageClassifier:
        classifier = make_classifier(chosen, data)
        classifier.network.compile(backend=backend)
        return classifier

    monkeypatch.setattr(run, "make_classifier", make_compiled_classifier)
    train(settings(tmp_path, model="CR(4), M(8), L(10)", max_epochs=1, compile=compilation))
    assert bool(compiled) is compiles


def test_the_device_decides_what_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def completed(dataset: str) -> tuple[str | None, str | None]:
        chosen = complete_by_device(
            Settings.complete({"model": "vgg7", "dataset": dataset, "accelerator": "auto"})
        )
        return chosen.precision, chosen.compile

    monkeypatch.setattr(machine, "finds_compiler", lambda: True)
    for device, cifar10, shapes10 in (
        ("cpu", ("32-true", "operations"), ("32-true", "none")),
        ("mps", ("32-true", "none"), ("32-true", "none")),
        ("cuda", ("bf16-mixed", "network"), ("bf16-mixed", "network")),
    ):
        monkeypatch.setattr(machine, "device_type", lambda _, device=device: device)
        assert completed("cifar10") == cifar10
        assert completed("shapes10") == shapes10
    given = {"precision": "64-true", "compile": "operations", "threads": 1, "sync_batchnorm": False}
    chosen = Settings.complete({"model": "vgg7", "dataset": "cifar10", **given})
    assert complete_by_device(chosen) == chosen


def test_without_a_compiler_nothing_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    left_open = {"model": "vgg7", "dataset": "cifar10", "accelerator": "cpu"}
    assert complete_by_device(Settings.complete(left_open)).compile == "none"
    for compilation in ("operations", "network"):
        with pytest.raises(
            SettingsError, match=f"--compile {compilation}: .* C\\+\\+ compiler; install"
        ):
            train(settings(tmp_path, compile=compilation))
    train(settings(tmp_path, model="C(1), M(32), L(10)", max_epochs=1, compile=None))
    assert "nothing compiled (there is no C++ compiler)" in capsys.readouterr().out


def test_a_constant_learning_rate_may_have_a_warm_up(tmp_path: Path) -> None:
    result = train(settings(tmp_path, lr=0.01, schedule="constant", warmup=0.25, max_epochs=1))
    assert column(result, "learning_rate") == pytest.approx([0.0025, 0.005, 0.0075] + [0.01] * 9)


class PowerCutError(Exception):
    pass


def cut_power_after_the_first_epoch(
    self: StepLog, trainer: lightning.Trainer, module: lightning.LightningModule
) -> None:
    if trainer.current_epoch == 1:
        raise PowerCutError
    original_start(self, trainer, module)


original_start = StepLog.on_train_epoch_start


def test_the_learning_rate_follows_its_schedule_to_the_end_also_when_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {
        "optimizer": "muon",
        "lr": 0.02,
        "schedule": "linear",
        "warmup": 0.25,
        "bias_lr_factor": 4.0,
    }
    whole = train(settings(tmp_path, **chosen))
    expected = [0.02 * learning_rate_factor(step, 24, "linear", 0.25) for step in range(24)]
    assert column(whole, "learning_rate") == pytest.approx(expected)
    with monkeypatch.context() as patch:
        patch.setattr(StepLog, "on_train_epoch_start", cut_power_after_the_first_epoch)
        with pytest.raises(PowerCutError):
            train(settings(tmp_path / "cut", **chosen))
    (last,) = (tmp_path / "cut").rglob("last.ckpt")
    resumed = train(settings(tmp_path, **chosen, resume=str(last)))
    assert column(resumed, "learning_rate") == pytest.approx(expected)
    assert column(resumed, "train/loss_step") == column(whole, "train/loss_step")
    # of both epochs, though only the second was trained here
    saved = torch.load(last, weights_only=True)["callbacks"]
    (before,) = (state["training_seconds"] for name, state in saved.items() if "StepLog" in name)
    *_, seconds = column(resumed, "training_seconds")
    *_, speed = column(resumed, "images_per_second")
    assert before > 0
    assert seconds == pytest.approx(before + BATCH * 12 / speed)


@pytest.mark.parametrize(
    "views",
    [{"flip": True, "shift": False}, {"flip": False, "shift": True}, {"flip": True, "shift": True}],
)
def test_test_time_augmentation_is_measured_after_the_last_epoch(
    result: Result, tmp_path: Path, views: dict[str, bool]
) -> None:
    assert [epoch.val_accuracy_tta for epoch in result.history] == [None, None, None]
    chosen = {f"test_time_{view}": is_shown for view, is_shown in views.items()}
    augmented = train(settings(tmp_path, **chosen))
    *before, last = augmented.history
    assert [epoch.val_accuracy_tta for epoch in before] == [None, None]
    classifier = ImageClassifier.load_from_checkpoint(
        augmented.best_checkpoint.with_name("last.ckpt"), network=create_model(SMALL)
    ).eval()
    ((images, targets),) = Shapes10DataModule(batch_size=1000).val_dataloader()
    scores = classifier(images)
    for view, weight in other_views(images, **views):
        scores = scores + weight * classifier(view)
    assert last.val_accuracy_tta == pytest.approx(accuracy(scores, targets).item())
    assert f"{last.val_accuracy_tta:.2%} with test-time augmentation" in str(augmented)
