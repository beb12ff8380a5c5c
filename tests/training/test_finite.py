"""`ansnet.training.finite` and `ansnet.training.stopped`: trainings whose numbers go bad."""

from __future__ import annotations

import csv
import math
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ansnet.compatibility import lightning
from ansnet.data import Shapes10DataModule
from ansnet.data.batches import Batches, Images, Order
from ansnet.training import build, finite
from ansnet.training.finite import Finding, FiniteWatch, not_finite, together
from ansnet.training.resume import settings_from
from ansnet.training.run import train
from ansnet.training.settings import Settings
from ansnet.training.stopped import TrainingStopped, lower_rate
from tests.training.small import few_shapes, small_settings
from tests.training.spoiled import spoil

NAN, INF = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def _few_images() -> Iterator[None]:
    with few_shapes(300, 100):  # 6 steps an epoch
        yield


def stopped(log_dir: Path, **given: Any) -> TrainingStopped:
    with pytest.raises(TrainingStopped) as raised:
        train(small_settings(log_dir, **{"max_epochs": 4, **given}))
    assert raised.value.is_told
    assert raised.value.exit_code == 1
    assert str(raised.value).startswith(f"stopped: {raised.value.what}\n")
    return raised.value


def checkpoints(log_dir: Path) -> dict[str, dict[str, Any]]:
    files = log_dir.rglob("*.ckpt")
    return {file.name: torch.load(file, weights_only=True, map_location="cpu") for file in files}


def all_tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from all_tensors(each)


def steps(log_dir: Path) -> list[float]:
    (table,) = log_dir.rglob("metrics.csv")
    with table.open(newline="") as file:
        rows = csv.DictReader(file)
        return [float(row["train/loss_step"]) for row in rows if row["train/loss_step"]]


@pytest.mark.parametrize("number", [NAN, INF])
def test_images_that_spoil_the_loss_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: float
) -> None:
    images: list[Tensor] = []

    def before(trainer: Any, module: Any, batch: Any, index: int) -> None:
        if trainer.global_step == 8:
            images.extend(batch[0][[3, 11]].clone())
            batch[0][[3, 11]] = number

    spoil(monkeypatch, before)
    # the rate falls linearly from 0.01 over 24 steps
    found = stopped(tmp_path, lr=0.01, schedule="linear")
    assert found.what == "the loss is not finite at step 8 (epoch 2 of 4, batch 3 of 6): nan"
    data = Shapes10DataModule()
    data.setup("fit")
    pixels = data.images("train").pixels
    every = torch.stack([data.loader("train").normalisation(each[None])[0] for each in pixels])
    distances = [(every.permute(0, 3, 1, 2) - image).abs().amax((1, 2, 3)) for image in images]
    indices = sorted(int(distance.argmin()) for distance in distances)
    assert max(float(distance.min()) for distance in distances) < 1e-6
    assert found.details["images"] == (
        f"2 of 50, by their indices in the training set: {indices[0]}, {indices[1]}"
    )
    assert found.details["rate"] == f"{0.01 * (1 - 8 / 24):g} at this step"
    # the last good checkpoint is that of the first epoch, and what has been trained is recorded
    folder = tmp_path / "notation" / "version_0"
    last = folder / "checkpoints" / "last.ckpt"
    assert found.details["checkpoint"] == f"{last}, after epoch 1, step 6"
    assert found.details["go on"] == f"python -m ansnet train --resume {last} --lr 0.001"
    assert (folder / "curves.png").stat().st_size > 0
    recorded = steps(tmp_path)
    assert all(map(math.isfinite, recorded[:8]))
    assert math.isnan(recorded[8])
    for each in checkpoints(tmp_path).values():
        assert each["global_step"] == 6
        kept = [*all_tensors([each["state_dict"], each["optimizer_states"]])]
        assert len(kept) > 8
        assert not_finite((str(i), tensor) for i, tensor in enumerate(kept)) == []


def test_a_normalisation_hands_a_bad_image_on_to_the_whole_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, lambda trainer, module, batch, index: batch[0][4].fill_(NAN))
    found = stopped(tmp_path, model="CNR(4), M(8), L(10)")
    assert found.what.startswith("the loss is not finite at step 0 (epoch 1 of 4, batch 1 of 6)")
    assert found.details["images"].startswith("all 50, as where the weights are the cause: ")
    assert found.details["images"].endswith(" and 42 more")
    assert found.details["checkpoint"] == "none yet"
    assert found.details["begin again"] == "with a lower rate, as --lr 5e-05"
    assert not (tmp_path / "notation" / "version_0" / "curves.png").exists()
    assert not list(tmp_path.rglob("*.ckpt"))


def at_step(step: int, change: Any) -> Any:
    def after(trainer: Any, module: Any, batch: Any, index: int) -> None:
        if trainer.global_step == step:  # it has been counted when the batch ends
            with torch.no_grad():
                change(trainer, module)

    return after


def spoil_weight(trainer: Any, module: Any) -> None:
    module.network.conv1.weight[0, 0, 0, 0] = INF


def spoil_statistics(trainer: Any, module: Any) -> None:
    module.network.norm1.running_var[0] = INF


def spoil_optimizer(trainer: Any, module: Any) -> None:
    trainer.optimizers[0].state[module.network.linear1.bias]["exp_avg"][0] = NAN


@pytest.mark.parametrize(
    ("change", "what", "where"),
    [
        (spoil_weight, "weights are", "network.conv1.weight"),
        (
            spoil_statistics,
            "the running statistics of a normalisation are",
            "network.norm1.running_var",
        ),
        (spoil_optimizer, "what the optimizer keeps is", "exp_avg of network.linear1.bias"),
    ],
)
@pytest.mark.parametrize("averaged", [{}, {"ema": 0.5}])
def test_what_breaks_in_the_last_step_of_an_epoch_is_not_saved(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Any,
    what: str,
    where: str,
    averaged: dict[str, float],
) -> None:
    spoil(monkeypatch, after=at_step(12, change))
    found = stopped(tmp_path, model="CNR(4), M(8), L(10)", **averaged)
    assert found.what.startswith(f"{what} not finite after step 11 (epoch 2 of 4), whose loss was ")
    assert found.details["not finite"] == where
    assert found.details["rate"] == "0.0005 at this step"
    assert {each["global_step"] for each in checkpoints(tmp_path).values()} == {6}
    assert len(checkpoints(tmp_path)) == 2


def test_a_checkpoint_within_an_epoch_is_not_written_after_a_bad_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before(trainer: Any, module: Any, batch: Any, index: int) -> None:
        if index == 2:
            batch[0][0] = NAN

    spoil(monkeypatch, before)
    own = build.changing
    each_step = {"filename": "after_{step}", "every_n_train_steps": 1, "save_top_k": -1}
    each = lightning.callbacks.ModelCheckpoint(
        tmp_path / "each", auto_insert_metric_name=False, **each_step
    )
    monkeypatch.setattr(build, "changing", lambda settings: [*own(settings), each])
    monkeypatch.setattr(FiniteWatch, "interval", 1e9)
    found = stopped(tmp_path)
    assert found.what.startswith("the loss is not finite at step 2 (epoch 1 of 4, batch 3 of 6)")
    assert {file.name for file in tmp_path.glob("each/*.ckpt")} == {"after_1.ckpt", "after_2.ckpt"}


@pytest.mark.parametrize("accumulated", [2, 4])
def test_with_gradients_accumulated_the_batch_is_named_and_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accumulated: int
) -> None:
    def before(trainer: Any, module: Any, batch: Any, index: int) -> None:
        if trainer.current_epoch == 1 and index == 3:
            batch[0][7] = NAN

    spoil(monkeypatch, before)
    found = stopped(tmp_path, accumulate_grad_batches=accumulated)
    # three steps an epoch, and the second batch of the second; or two, and the fourth of the first
    step = {2: 4, 4: 2}[accumulated]
    assert found.what.startswith(f"the loss is not finite at step {step} (epoch 2 of 4, batch 4 of 6)")
    assert found.details["images"].startswith("1 of 50, by their indices")


def test_a_validation_loss_that_is_not_finite_stops_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def validating(trainer: Any, module: Any, batch: Any, index: int) -> None:
        if trainer.state.fn == "fit" and trainer.current_epoch == 1 and index == 1:
            batch[0][[5, 8]] = NAN

    spoil(monkeypatch, validating=validating)
    found = stopped(tmp_path)
    assert found.what == "the loss over the validation images is not finite after epoch 2: nan"
    assert found.details["images"] == "2 of 100, by their indices in the validation set: 55, 58"
    assert {each["epoch"] for each in checkpoints(tmp_path).values()} == {0}


def test_an_untrained_network_without_a_loss_is_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, validating=lambda trainer, module, batch, index: batch[0].fill_(NAN))
    found = stopped(tmp_path)
    assert found.what == "the loss over the validation images is not finite before the first step: nan"
    assert steps_of_no_training(tmp_path)


def test_the_command_that_is_named_goes_on_and_within_an_epoch_images_are_named_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images: list[Tensor] = []

    def before(trainer: Any, module: Any, batch: Any, index: int) -> None:
        if trainer.global_step == (11 if trainer.ckpt_path else 9):
            images.append(batch[0][7].clone())
            batch[0][7] = NAN

    spoil(monkeypatch, before)
    first = stopped(tmp_path, checkpoint_every=1e-9, optimizer="sgd", lr=0.1)  # after every step
    mid_epoch = tmp_path / "notation" / "version_0" / "checkpoints" / "mid-epoch.ckpt"
    assert first.details["checkpoint"] == f"{mid_epoch}, within epoch 2, step 9"
    python, *words = shlex.split(first.details["go on"])
    assert [python, *words[:3]] == ["python", "-m", "ansnet", "train"]
    by_hand = {"lr": float(words[words.index("--lr") + 1])}
    with pytest.raises(TrainingStopped) as raised:
        train(settings_from(words[words.index("--resume") + 1], by_hand))
    second = raised.value
    assert second.what.startswith("the loss is not finite at step 11 (epoch 2 of 4, batch 6 of 6)")
    assert second.details["rate"] == "0.01 at this step"
    data = Shapes10DataModule(seed=0, batch_size=50)
    data.setup("fit")
    every = data.loader("train").normalisation(data.images("train").pixels)
    place = int((every.permute(0, 3, 1, 2) - images[1]).abs().amax((1, 2, 3)).argmin())
    assert second.details["images"] == f"1 of 50, by their indices in the training set: {place}"


def steps_of_no_training(log_dir: Path) -> bool:
    (table,) = log_dir.rglob("metrics.csv")
    return "train/loss_step" not in table.read_text().splitlines()[0]


def test_an_infinite_loss_of_finite_scores_is_of_its_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Scores(torch.nn.Module):
        notation = "none"

        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Tensor) -> Tensor:
            scores: Tensor = self.network(images)
            if self.training:
                far = torch.full((1, 10), -3e38).index_fill(1, scores[9].argmin()[None], 3e38)
                scores = torch.cat([scores[:9], far + scores[9:10], scores[10:]])
            return scores

    own = build.torch_twin
    monkeypatch.setattr(build, "torch_twin", lambda network: Scores(own(network)))
    found = stopped(tmp_path, ops="torch", lr=1e-30)
    assert found.what.startswith("the loss is not finite at step 0")
    assert found.details["images"].startswith("1 of 50, by their indices in the training set: ")


def test_a_few_images_drawn_are_named_as_in_their_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before(trainer: Any, module: Any, batch: Any, index: int) -> None:
        batch[0][[0, 2]] = NAN

    spoil(monkeypatch, before)
    found = stopped(tmp_path, overfit_batches=1)
    data = Shapes10DataModule(seed=0, batch_size=50)
    data.setup("fit")
    few, every = data.few("train", 1).images.pixels, data.images("train").pixels
    indices = sorted(
        next(i for i, image in enumerate(every) if image.equal(few[place])) for place in (0, 2)
    )
    assert found.details["images"] == (
        f"2 of 50, by their indices in the training set: {indices[0]}, {indices[1]}"
    )


def test_several_images_of_a_run_without_faults_stop_nothing(tmp_path: Path) -> None:
    result = train(small_settings(tmp_path))
    assert (result.verdict, result.exit_code) == (None, 0)


def test_a_step_that_is_left_out_because_its_scaled_gradient_overflows_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[Tensor] = []

    def after(trainer: Any, module: Any, batch: Any, index: int) -> None:
        weights.append(module.network.linear1.weight.detach().clone())

    def before(trainer: Any, module: Any, batch: Any, index: int) -> None:
        if trainer.global_step == 0:
            module.network.linear1.weight.register_hook(lambda gradient: 1e3 * gradient)

    # as for CUDA's 16-mixed, in bfloat16, which a CPU has; halved until nothing overflows
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=1000)
    plugin = lightning.plugins.MixedPrecision("bf16-mixed", "cpu")
    plugin.scaler = scaler
    own = lightning.Trainer
    monkeypatch.setattr(build.lightning, "Trainer", lambda **given: own(**scaled(given, plugin)))
    spoil(monkeypatch, before, after)
    result = train(small_settings(tmp_path, max_epochs=2))
    assert result.history[-1].epoch == 2
    assert scaler.get_scale() < 2.0**127
    assert weights[0].equal(weights[1])  # left out
    assert not weights[-2].equal(weights[-1])


def scaled(given: dict[str, Any], plugin: Any) -> dict[str, Any]:
    return {
        **{name: value for name, value in given.items() if name != "precision"},
        "plugins": [plugin],
    }


@pytest.mark.parametrize(
    ("order", "batch_size"), [(Order(103, 3), 10), (Order(103, 3, 1, 2), 10), (Order(101, 3), 10)]
)
@pytest.mark.parametrize("places", [None, torch.arange(500, 700)])
def test_the_images_of_a_batch(order: Order, batch_size: int, places: Tensor | None) -> None:
    pixels = torch.zeros(order.size, 2, 2, 3, dtype=torch.uint8)
    batches = Batches(Images(pixels, torch.arange(order.size)), order, batch_size, places=places)
    for epoch in range(2):
        order.set_epoch(epoch)
        for number, (_, targets) in enumerate(batches):
            indices = targets if places is None else targets + 500
            assert batches.indices(epoch, number).equal(indices)
    assert order.epoch == 2


def test_what_is_not_finite() -> None:
    tensors = {
        "good": torch.ones(2),
        "nan": torch.tensor([1.0, NAN]),
        "inf": torch.tensor([-INF]).bfloat16(),
        "whole": torch.tensor([3]),
        "none": torch.ones(0),
        "number": 3.0,
    }
    assert not_finite(tensors.items()) == ["nan", "inf"]
    assert not_finite({}.items()) == []


def test_several_processes_find_the_same_step() -> None:
    one = Finding(measured=(7, 3, 0.5, NAN), images=4, bad=[1], before=(6, 2.0, 0.5))
    other = Finding(measured=(5, 1, 0.5, INF), images=4, bad=[9], before=(4, 2.5, 0.5))
    third = Finding(measured=(5, 1, 0.5, NAN), images=4, bad=[8, 2], before=(4, 2.5, 0.5))
    fine = Finding(before=(7, 2.0, 0.5))
    found = together([fine, one, other, third])
    assert (found.measured, found.images, found.bad) == (other.measured, 8, [9, 8, 2])
    broken = Finding(broken=["a", "b"], before=(8, 3.0, 0.25))
    found = together([fine, broken, Finding(broken=["b", "c"])])
    assert (found.broken, found.before) == (["a", "b", "c"], (8, 3.0, 0.25))


def test_the_device_is_waited_for_about_once_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    own = FiniteWatch.look

    def look(self: FiniteWatch, trainer: Any, *more: Any) -> None:
        looks.append(len(self.pending))
        own(self, trainer, *more)

    monkeypatch.setattr(FiniteWatch, "look", look)
    monkeypatch.setattr(finite, "perf_counter", lambda: next(clock))
    clock = iter(range(0, 1000))  # each reading a second after the one before

    with few_shapes(2000, 100):
        train(small_settings(tmp_path, max_epochs=1))
    # a second for as many batches as there have been: one at a time; the two files are written at last
    assert looks == [1] * 40 + [0, 0]
    looks.clear()
    clock = iter(i / 1e6 for i in range(1000))
    with few_shapes(2000, 100):
        train(small_settings(tmp_path, max_epochs=1))
    assert looks == [1, 2, 4, 8, 16, 9, 0, 0]  # at most twice as many as the time before
    monkeypatch.setattr(finite, "MEMORY", 50 * 10 * 4 * 3)
    looks.clear()
    clock = iter(i / 1e6 for i in range(1000))
    with few_shapes(2000, 100):
        train(small_settings(tmp_path, max_epochs=1))
    assert looks == [1, 2, *[3] * 12, 1, 0, 0]


def test_the_lower_rate() -> None:
    def rate(**given: Any) -> float:
        return lower_rate(Settings.complete({"dataset": "shapes10", **given}))

    assert rate(optimizer="sgd", lr=0.0123) == 0.0012
    assert rate(optimizer="sgd", lr=1e30) == 0.01
    assert rate(optimizer="adam", lr=0.5) == 0.001
