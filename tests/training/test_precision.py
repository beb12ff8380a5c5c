"""`ansnet.training.precision`: what a CPU computes in where it is left open. Nothing is timed here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import torch
import yaml

from ansnet.commands import find_lr as find_lr_command
from ansnet.commands.train import main
from ansnet.training import find_lr, machine, precision, processor, repeat, run
from ansnet.training.machine import complete_by_device
from ansnet.training.precision import Timing, make_step, measure, settled
from ansnet.training.processor import multiplies_bfloat16
from ansnet.training.report import Result
from ansnet.training.run import train
from ansnet.training.settings import Settings, SettingsError
from tests.training.small import few_shapes, small_settings

QUICKER, SLOWER = Timing(50, single=0.4, mixed=0.2), Timing(50, single=0.4, mixed=0.5)
NETWORK = "CNR(4), M(8), L(10)"
CONSTANT = {"lr": 1e-3, "schedule": "constant"}


@pytest.fixture(scope="module", autouse=True)
def _few_images() -> Iterator[None]:
    with few_shapes(200, 50):
        yield


@pytest.fixture(autouse=True)
def _matrix_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: True)


@pytest.fixture
def _not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(settings: Settings) -> NoReturn:
        raise AssertionError(f"measured: {settings}")

    monkeypatch.setattr(precision, "measure", fails)


def settings(log_dir: Path, **given: Any) -> Settings:
    return small_settings(log_dir, **{"model": NETWORK, **CONSTANT, "max_epochs": 1, **given})


def finds(monkeypatch: pytest.MonkeyPatch, *timings: Timing) -> None:
    """Have these be found, one after the other."""
    found = iter(timings)
    monkeypatch.setattr(precision, "measure", lambda _: next(found))


def weights(result: Result) -> dict[str, torch.Tensor]:
    saved = torch.load(result.best_checkpoint.with_name("last.ckpt"), weights_only=True)
    state: dict[str, torch.Tensor] = saved["state_dict"]
    return state


@pytest.mark.parametrize(("timing", "chosen"), [(QUICKER, "bf16-mixed"), (SLOWER, "32-true")])
def test_the_quicker_one_is_taken_told_and_recorded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    timing: Timing,
    chosen: str,
) -> None:
    finds(monkeypatch, timing)
    result = train(settings(tmp_path))
    assert result.precision == chosen
    lines = capsys.readouterr().out.splitlines()
    assert lines.count(str(timing)) == 1
    assert any(f", {chosen}, channels first" in line for line in lines)
    record = yaml.safe_load((result.log_dir / "hparams.yaml").read_text())
    assert record["precision"] == chosen
    assert record["precision_measured"] == str(timing)
    # given by hand, it is the same run
    given = train(settings(tmp_path, precision=chosen))
    assert str(timing) not in capsys.readouterr().out
    record = yaml.safe_load((given.log_dir / "hparams.yaml").read_text())
    assert record["precision_measured"] is None
    expected = weights(given)
    assert all(torch.equal(each, expected[name]) for name, each in weights(result).items())


def test_a_line_says_why() -> None:
    assert str(QUICKER) == (
        "computed in bf16-mixed: a step of 50 images takes 200 ms in it, 400 ms in 32-true"
    )
    assert str(SLOWER) == (
        "computed in 32-true: a step of 50 images takes 400 ms in it, 500 ms in bf16-mixed, "
        "not a tenth less"
    )


@pytest.mark.parametrize(("mixed", "chosen"), [(0.36, "bf16-mixed"), (0.37, "32-true")])
def test_less_than_a_tenth_is_not_taken_for_quicker(mixed: float, chosen: str) -> None:
    assert Timing(50, 0.4, mixed).precision == chosen


@pytest.mark.usefixtures("_not_measured")
@pytest.mark.parametrize(
    "given",
    [
        {"precision": "bf16-mixed"},
        {"precision": "64-true"},
        {"devices": 2},
        {"limit_batches": 1},
        {"overfit_batches": 1},
        {"detect_anomaly": True},
    ],
)
def test_nothing_is_measured_where_it_has_no_use(tmp_path: Path, given: dict[str, Any]) -> None:
    chosen, timing = settled(complete_by_device(settings(tmp_path, **given)))
    assert chosen.precision == given.get("precision", "32-true")
    assert timing is None


@pytest.mark.usefixtures("_not_measured")
@pytest.mark.parametrize(
    ("device", "multiplies", "chosen"),
    [("cpu", False, "32-true"), ("mps", True, "32-true"), ("cuda", True, "bf16-mixed")],
)
def test_nor_on_another_device_or_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, multiplies: bool, chosen: str
) -> None:
    monkeypatch.setattr(machine, "device_type", lambda _: device)
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: multiplies)
    completed, timing = settled(complete_by_device(settings(tmp_path)))
    assert (completed.precision, timing) == (chosen, None)


@pytest.mark.parametrize(("timing", "chosen"), [(QUICKER, "bf16-mixed"), (SLOWER, "32-true")])
def test_a_run_that_goes_on_has_the_precision_of_the_run_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, timing: Timing, chosen: str
) -> None:
    finds(monkeypatch, timing)  # once: by the first run
    first = train(settings(tmp_path))
    last = str(first.best_checkpoint.with_name("last.ckpt"))
    assert train(settings(tmp_path, resume=last, max_epochs=2)).precision == chosen
    assert main(["--resume", last, "--max-epochs=3"]) == 0
    records = sorted(first.log_dir.parent.glob("*/hparams.yaml"))
    assert [yaml.safe_load(each.read_text())["precision"] for each in records] == 3 * [chosen]


def test_runs_of_several_seeds_have_the_precision_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finds(monkeypatch, QUICKER)
    repeat.repeat(settings(tmp_path), 2)
    records = [yaml.safe_load(each.read_text()) for each in tmp_path.rglob("hparams.yaml")]
    assert [each["precision"] for each in records] == ["bf16-mixed", "bf16-mixed"]


def test_a_learning_rate_is_searched_for_in_the_precision_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finds(monkeypatch, QUICKER, QUICKER)
    searched: list[str | None] = []
    search = find_lr.Search([0.1], [1.0])
    monkeypatch.setattr(find_lr.Search, "rate", 0.1)

    def look(settings: Settings) -> find_lr.Search:
        searched.append(settings.precision)
        return search

    monkeypatch.setattr(run, "find_learning_rate", look)
    monkeypatch.setattr(run, "draw_search", lambda *_: None)
    monkeypatch.setattr(find_lr, "draw_search", lambda *_: None)
    train(settings(tmp_path, find_lr=True, lr=None))
    picture = str(tmp_path / "a.png")
    words = ["--model", NETWORK, "--dataset=shapes10", "--accelerator=cpu", "--out", picture]
    capsys.readouterr()
    assert find_lr_command.main(words) == 0
    assert searched == ["bf16-mixed", "bf16-mixed"]
    assert capsys.readouterr().out.splitlines()[-1].endswith("--precision bf16-mixed --lr 0.1")


@pytest.mark.usefixtures("_not_measured")
def test_a_printed_configuration_leaves_it_open(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--model", NETWORK, "--dataset=shapes10", "--accelerator=cpu", "--print-config"])
    assert "precision" not in yaml.safe_load(capsys.readouterr().out)


class Clock:
    """Tells a time that goes on by as much as the steps are said to take."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds, self.now = seconds, 0.0
        self.taken: list[str] = []

    def __call__(self) -> float:
        return self.now

    def step(self, precision: str) -> None:
        self.taken.append(precision)
        self.now += self.seconds[precision] * (5 if len(self.taken) < 3 else 1)


@pytest.mark.parametrize(("single", "rounds"), [(0.01, 7), (0.22, 5), (4.0, 3)])
def test_steps_take_turns_and_the_first_ones_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, single: float, rounds: int
) -> None:
    clock = Clock({"32-true": single, "bf16-mixed": single / 2})
    monkeypatch.setattr(precision, "perf_counter", clock)
    monkeypatch.setattr(precision, "make_step", lambda _: (clock.step, 50))
    assert measure(settings(tmp_path)) == Timing(50, pytest.approx(single), pytest.approx(single / 2))
    assert clock.taken == ["32-true", "bf16-mixed"] * (1 + rounds)


@pytest.mark.parametrize("ops", ["ansnet", "torch"])
def test_no_state_of_the_process_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ops: str
) -> None:
    monkeypatch.setattr(precision, "LEAST_ROUNDS", 1)
    monkeypatch.setattr(precision, "MOST_ROUNDS", 1)
    asked: list[str] = []
    monkeypatch.setattr(precision, "can_generate", asked.append)
    before = torch.get_rng_state()
    deterministic = torch.are_deterministic_algorithms_enabled()
    measure(settings(tmp_path, ops=ops, compile="operations", batch_size=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.are_deterministic_algorithms_enabled() == deterministic
    assert not torch.is_autocast_enabled("cpu")
    assert asked == ["cpu"]  # while things are compiled, of which nothing is in the measurement
    assert not list(tmp_path.iterdir())


def test_a_step_is_the_runs_in_either_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []
    original = precision.arranged

    def watched(network: Any, chosen: Settings) -> Any:
        def watch(layer: Any, given: tuple[torch.Tensor, ...], scores: torch.Tensor) -> None:
            (images,) = given
            in_layout = images.is_contiguous(memory_format=torch.channels_last)
            seen.append((tuple(images.shape), in_layout, scores.dtype))

        network, criterion = original(network, chosen)
        network.register_forward_hook(watch)
        return network, criterion

    monkeypatch.setattr(precision, "arranged", watched)
    for batch, images in ((20, 20), (500, precision.MOST_IMAGES)):
        seen.clear()
        step, count = make_step(settings(tmp_path, batch_size=batch, channels_last=True))
        step("32-true")
        step("bf16-mixed")
        assert count == images
        shape = (images, 3, 32, 32)
        assert seen == [(shape, True, torch.float32), (shape, True, torch.bfloat16)]


def test_a_network_that_does_not_fit_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ansnet.training.memory_needed.available_memory", lambda _: 1000)
    with pytest.raises(SettingsError, match="name a smaller network"):
        make_step(settings(tmp_path))


@pytest.mark.parametrize(
    ("functions", "multiplies"),
    [
        ({}, False),
        ({"get_capabilities": lambda: {}}, False),
        ({"get_capabilities": lambda: {"amx_bf16": False}}, False),
        ({"get_capabilities": lambda: {"amx_bf16": True}}, True),
        ({"_is_amx_tile_supported": lambda: True}, True),
        ({"_is_amx_tile_supported": lambda: False}, False),
    ],
)
def test_what_torch_tells_of_the_processor(
    monkeypatch: pytest.MonkeyPatch, functions: dict[str, Any], multiplies: bool
) -> None:
    monkeypatch.setattr(torch, "cpu", SimpleNamespace(**functions))
    assert multiplies_bfloat16() is multiplies
