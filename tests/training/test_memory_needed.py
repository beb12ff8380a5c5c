"""`ansnet.training.memory_needed` and `memory_available`: whether a training fits, and what is said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from ansnet.data import Shapes10DataModule
from ansnet.models import Network
from ansnet.training import memory_available, memory_needed
from ansnet.training.build import make_classifier
from ansnet.training.memory_available import available_memory
from ansnet.training.memory_needed import (
    check_batch,
    check_network,
    memory_remarks,
    needed,
    trace,
    why_not_shown,
)
from ansnet.training.run import train
from ansnet.training.settings import SettingsError
from tests.training.small import few_shapes, small_settings

MIB = 2**20


def free(patch: pytest.MonkeyPatch, count: int) -> None:
    patch.setattr(memory_needed, "available_memory", lambda kind: count)


def test_what_a_network_saves_is_counted_by_hand() -> None:
    with torch.device("meta"):
        network = Network("C(8), L(10)")
    traced = trace(network)  # each saves its input, and nothing else
    image, maps = 4 * 3 * 32 * 32, 4 * 8 * 32 * 32
    assert traced.saved == traced.inputs == image + maps
    assert traced.largest == maps


@pytest.mark.parametrize(
    ("given", "copies"),
    [
        ({"optimizer": "adam"}, 4),
        ({"optimizer": "adamw", "ema": 0.9}, 5),
        ({"optimizer": "sgd"}, 3),
        ({"optimizer": "sgd", "momentum": 0.0}, 2),
        ({"optimizer": "muon"}, 3),
    ],
)
def test_weights_gradients_moments_and_averages(
    given: dict[str, Any], copies: int, tmp_path: Path
) -> None:
    weights = 4 * (8 * 27 + 8 + 8192 * 10 + 10)
    for precision, size in (("32-true", 4), ("64-true", 8), ("bf16-true", 2), ("bf16-mixed", 4)):
        settings = small_settings(tmp_path, model="C(8), L(10)", precision=precision, **given)
        assert needed(settings, 10).resting == copies * weights * size // 4


def test_a_network_that_cannot_fit_is_refused_before_it_is_built(tmp_path: Path) -> None:
    settings = small_settings(tmp_path, model="C(1000000), L(10)")
    with pytest.raises(SettingsError, match=r"--model C\(1000000\), L\(10\): .*at least 153.0 GiB"):
        make_classifier(settings)


def test_a_batch_that_cannot_fit_is_refused_with_one_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small_settings(tmp_path, model="CR(64), M(8), L(10)", batch_size=500)
    wanted = needed(settings, 10)
    with few_shapes(600, 20):
        data = Shapes10DataModule()
        free(monkeypatch, wanted.at_least(500))
        check_batch(settings, data)
        free(monkeypatch, wanted.at_least(500) - 1)
        with pytest.raises(SettingsError, match=r"--batch-size 500: 500 images need at least") as error:
            check_batch(settings, data)
    largest = int(str(error.value).split()[-1])
    assert 1 < largest < 500
    assert wanted.about(largest) <= wanted.at_least(500) - 1 < wanted.about(largest + 1)
    check_network(settings, 10)


def test_a_batch_that_may_not_fit_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = small_settings(tmp_path, model="CR(64), M(8), L(10)", batch_size=500)
    wanted = needed(settings, 10)
    with few_shapes(600, 20):
        data = Shapes10DataModule()
        free(monkeypatch, int(1.21 * wanted.about(500)))
        assert memory_remarks(settings, data) == []
        for count in (int(1.19 * wanted.about(500)), wanted.at_least(500)):
            free(monkeypatch, count)
            check_batch(settings, data)
            (line,) = memory_remarks(settings, data)
            assert line.startswith("memory: 500 images need about")
            smaller = small_settings(
                tmp_path, model=settings.model, batch_size=int(re.findall(r"\d+", line)[-1])
            )
            assert smaller.batch_size < 500
            assert memory_remarks(smaller, data) == []
        monkeypatch.setenv("LOCAL_RANK", "1")
        assert memory_remarks(settings, data) == []


def test_a_batch_larger_than_the_data_counts_as_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = small_settings(tmp_path, batch_size=10**20, max_epochs=1)
    free(monkeypatch, needed(settings, 10).at_least(60))
    with few_shapes(60, 20):
        assert len(train(settings).history) == 2


def test_each_process_on_a_cpu_has_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = small_settings(tmp_path, devices=2)
    free(monkeypatch, 2 * needed(settings, 10).at_least(1) - 2)
    with pytest.raises(SettingsError, match="for each of 2 processes"):
        check_network(settings, 10)
    monkeypatch.setenv("LOCAL_RANK", "1")  # a process that the first has started
    check_network(settings, 10)


def test_images_that_are_only_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network("C(64), L(10)")
    free(monkeypatch, 10 * MIB)
    assert why_not_shown(network, 1) is None
    assert "showing it 100 images takes" in str(why_not_shown(network, 100))


def test_the_estimate_is_no_less_than_the_least(tmp_path: Path) -> None:
    for model in ("vgg7", "vgg7bn", "resnet9", "CNR(4), M(8), L(10)"):
        for compilation in ("none", "network"):
            wanted = needed(small_settings(tmp_path, model=model, compile=compilation), 10)
            for images in (1, 2, 100, 10**6):
                assert 0 < wanted.at_least(images) <= wanted.about(images)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc and a /sys/fs/cgroup of 8 GiB, 1 GiB of swap, and no control group."""
    monkeypatch.setattr(memory_available, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory_available, "GROUPS", tmp_path / "cgroup")
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "cgroup").mkdir()
    table = f"MemTotal: {16 * MIB} kB\nMemAvailable:   {8 * MIB} kB\nSwapFree: {MIB} kB\nHugePages: 0\n"
    (tmp_path / "proc" / "meminfo").write_text(table)
    return tmp_path


def test_what_linux_says_is_available(machine: Path) -> None:
    assert available_memory("cpu") == 9 * 2**30
    assert available_memory("mps") is None
    (machine / "proc" / "meminfo").unlink()
    assert available_memory("cpu") is None


@pytest.mark.parametrize("inside", [True, False])
def test_a_control_group_of_version_2(machine: Path, inside: bool) -> None:
    (machine / "proc" / "self" / "cgroup").write_text("0::/slice/job\n")
    folder = machine / "cgroup" / ("." if inside else "slice")  # as a container sees its own, or around
    folder.mkdir(exist_ok=True)
    for name, content in (
        ("memory.max", f"{2 * 2**30}\n"),
        ("memory.current", f"{2**30}\n"),
        ("memory.stat", f"anon 5\ninactive_file {2**29}\n"),
        ("memory.swap.max", "0\n"),
    ):
        (folder / name).write_text(content)
    assert available_memory("cpu") == 2**30 + 2**29
    (folder / "memory.swap.max").write_text("max\n")
    assert available_memory("cpu") == 2**30 + 2**29 + 2**30
    (folder / "memory.max").write_text("max\n")
    assert available_memory("cpu") == 9 * 2**30


def test_a_control_group_of_version_1(machine: Path) -> None:
    (machine / "proc" / "self" / "cgroup").write_text("9:name=systemd:/\n4:cpu,memory:/job\n0::/\n")
    folder = machine / "cgroup" / "memory" / "job"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(f"{2 * 2**30}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{2**30}\n")
    (folder / "memory.stat").write_text(f"total_inactive_file {2**29}\n")
    (folder / "memory.swap.max").write_text("0\n")
    assert available_memory("cpu") == 2**30 + 2**29
    (folder / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    assert available_memory("cpu") == 9 * 2**30


@pytest.mark.cuda
def test_a_gpu_says_what_is_free() -> None:
    before = available_memory("cuda")
    held = torch.zeros(2**28, device="cuda")
    after = available_memory("cuda")
    assert before is not None
    assert after is not None
    assert before - after >= held.nbytes
