"""`benchmarks/control.py`, and by it: the formulas train the same network as `torch.nn`'s layers."""

from __future__ import annotations

from pathlib import Path

import pytest

import control
from ansnet.data import Shapes10DataModule
from results import read

SMALL = "--model 'CR(4), M(8), L(10)' --dataset shapes10 --batch-size 10"


@pytest.mark.slow
@pytest.mark.cifar10
def test_on_cifar10_both_follow_the_same_curve_for_100_steps(cifar10_dir: Path) -> None:
    options = "--model vgg7 --optimizer adam --batch-size 8 --schedule constant --warmup 0"
    ours, theirs = (
        control.losses(f"{options} --ops {ops} --precision 64-true", 100, str(cifar10_dir))
        for ops in ("ansnet", "torch")
    )
    assert len(ours) == 100
    assert len(set(ours)) == 100
    # In float64, whose rounding (1e-16) grows a thousandfold at most; in float32 Adam's division by
    # small gradients makes two curves of torch.nn itself part after some 20 steps.
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_the_largest_difference_so_far_is_recorded_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    curves = {"ansnet": [3.0, 2.0, 1.5], "torch": [3.0, 2.5, 1.25], "channels-first": [3.0, 2.0, 1.0]}

    def losses(options: str, *unused: object) -> list[float]:
        name = "ansnet" if "ansnet" in options else "torch"
        return curves["channels-first" if "--no-channels-last" in options else name]

    monkeypatch.setattr(control, "losses", losses)
    monkeypatch.setattr(control, "SHOWN", (2, 3, 50))
    control.main(["--steps", "3", "--options", SMALL, "--results", str(tmp_path)])
    rows = read(tmp_path / "runs/control.csv", control.Difference)
    assert [(row.step, row.largest) for row in rows] == [(1, 0.0), (2, 0.5), (3, 0.5)] * 3
    assert "| ansnet and torch, float32 | 0.5 | 0.5 |" in capsys.readouterr().out


def test_the_losses_are_those_of_the_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shapes10DataModule, "train_size", 200)
    few, more = (control.losses(SMALL, steps, None) for steps in (3, 5))
    assert (len(few), len(set(more))) == (3, 5)
    assert more[:3] == few
    assert control.losses(SMALL, 3, None, seed=1) != few
