"""Several processes train as one: weights, figures, files; one that fails takes all along."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ansnet.modules import BatchNorm2d, SyncBatchNorm
from ansnet.training.build import make_data
from ansnet.training.devices import (
    SynchronizedBatchNorm,
    check_images,
    describe_processes,
    process_plugins,
)
from ansnet.training.launcher import check_processes, find_launcher, is_first_of_node
from ansnet.training.machine import complete_by_device, device_options
from ansnet.training.settings import Settings, SettingsError
from tests.training.small import few_shapes, small_settings
from tests.training.two_processes import CASES, TRAIN, VAL, run

ROOT = Path(__file__).parents[2]
PATIENCE = 240  # seconds, on a busy machine; alone a tenth of it
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
SLURM = {"SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_PROCID": "3", "SLURM_LOCALID": "1"}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """What two processes have left, and one; and how the two have ended."""
    two, one = tmp_path_factory.mktemp("two"), tmp_path_factory.mktemp("one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = [start(rank, port, two) for rank in range(2)]
    try:
        with few_shapes(TRAIN, VAL):
            results = {case: run(case, one, 1) for case in CASES}
        outputs = [process.communicate(timeout=PATIENCE) for process in processes]
    finally:
        for process in processes:
            process.kill()
    codes = [process.returncode for process in processes]
    return SimpleNamespace(two=two, one=one, outputs=outputs, codes=codes, results=results)


def start(rank: int, port: str, folder: Path) -> subprocess.Popen[str]:
    numbers = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.training.two_processes", str(folder)],
        cwd=ROOT,
        env={**os.environ, **numbers, **place, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def checkpoint(folder: Path, case: str) -> dict[str, Any]:
    (path,) = folder.glob(f"{case}/*/version_0/checkpoints/last.ckpt")
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def weights(folder: Path, case: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = checkpoint(folder, case)["state_dict"]
    return state


def difference(both: SimpleNamespace, case: str) -> float:
    """The largest, of weights and running averages."""
    one, two = weights(both.one, case), weights(both.two, case)
    assert one.keys() == two.keys()
    return max(float((one[name].double() - two[name].double()).abs().max()) for name in one)


@pytest.mark.parametrize(("case", "tolerance"), [("synchronised", 1e-10), ("float32", 1e-5)])
def test_two_processes_with_half_a_batch_each_train_as_one(
    both: SimpleNamespace, case: str, tolerance: float
) -> None:
    assert checkpoint(both.two, case)["global_step"] == 50
    assert difference(both, case) < tolerance


def test_also_by_images_that_are_changed_at_random_and_by_few(both: SimpleNamespace) -> None:
    assert difference(both, "augmented") < 1e-10
    assert difference(both, "few") < 1e-10


def test_not_synchronised_they_train_another_network_and_say_so(both: SimpleNamespace) -> None:
    assert difference(both, "not synchronised") > 1e-3
    said = both.outputs[0][0]
    assert said.count("batch normalisation synchronised: by the images of all processes") == 5
    assert said.count("batch normalisation not synchronised: each process normalises by its own") == 1
    assert said.count("2 processes: 8 images each a step, 16 together") == 6


def test_validation_counts_each_image_once(both: SimpleNamespace) -> None:
    for case in CASES:
        if case == "not synchronised":
            continue
        (table,) = both.two.glob(f"{case}/*/version_0/metrics.csv")
        rows = last_figures(table)
        expected = both.results[case].history[-1]
        assert rows["val/accuracy"] == expected.val_accuracy  # to the last bit
        assert rows["val/loss"] == pytest.approx(expected.val_loss, rel=1e-5)
        assert rows["train/accuracy"] == expected.train_accuracy
        if expected.val_accuracy_tta is not None:
            assert rows["val/accuracy_tta"] == expected.val_accuracy_tta


def last_figures(table: Path) -> dict[str, float]:
    import csv

    last: dict[str, float] = {}
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            last |= {name: float(value) for name, value in row.items() if value}
    return last


def test_one_process_speaks_and_writes(both: SimpleNamespace) -> None:
    first, second = (out for out, _ in both.outputs)
    assert second.strip() == "all done"
    assert first.count("before training") == len(CASES) + 1
    for case in CASES:
        folders = [path.parent for path in both.two.glob(f"{case}/*/*/metrics.csv")]
        # the last run, in which one process failed, has a folder of its own
        assert len(folders) == (2 if case == "synchronised" else 1)
        assert len(list((folders[0] / "checkpoints").iterdir())) >= 2


def test_a_process_that_fails_takes_the_others_along(both: SimpleNamespace) -> None:
    assert all(code not in (0, None) for code in both.codes), both.codes
    assert "only this process fails" in both.outputs[1][1]


def test_a_trainers_plugin_converts_a_network_and_converts_it_back() -> None:
    network, plugin = nn.Sequential(BatchNorm2d(3), nn.BatchNorm1d(3)), SynchronizedBatchNorm()
    assert [type(layer) for layer in plugin.apply(network)] == [SyncBatchNorm] * 2
    assert [type(layer) for layer in plugin.revert(network)] == [BatchNorm2d, nn.BatchNorm1d]


@pytest.mark.parametrize(
    ("given", "synchronises"),
    [
        ({"devices": 1}, None),
        ({"devices": 2}, True),
        ({"num_nodes": 2}, True),
        ({"devices": 2, "sync_batchnorm": False}, False),
        ({"devices": 2, "ops": "torch"}, False),
    ],
)
def test_it_is_on_by_default_where_there_are_several(
    tmp_path: Path, given: dict[str, Any], synchronises: bool | None
) -> None:
    settings = complete_by_device(small_settings(tmp_path, **given))
    assert settings.sync_batchnorm is synchronises
    assert bool(process_plugins(settings)) is bool(synchronises)
    assert not device_options(settings)["sync_batchnorm"]


def test_what_cannot_be_synchronised_is_refused_or_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--sync-batchnorm: PyTorch has none for the CPU"):
        complete_by_device(small_settings(tmp_path, devices=2, ops="torch", sync_batchnorm=True))
    with pytest.raises(SettingsError, match="--sync-batchnorm has no effect with --devices 1"):
        Settings.complete({"sync_batchnorm": True})
    settings = complete_by_device(small_settings(tmp_path, devices=2))
    assert describe_processes(settings, nn.Linear(1, 1))[1] == "no batch normalisation to synchronise"
    assert describe_processes(small_settings(tmp_path), nn.BatchNorm1d(1)) == []


def test_a_process_without_images_is_refused(tmp_path: Path) -> None:
    settings = small_settings(tmp_path, devices=3)
    with few_shapes(20, 2), pytest.raises(SettingsError, match="3 processes cannot share 2 validation"):
        check_images(settings, make_data(settings))


@pytest.mark.parametrize(
    ("given", "environment", "message"),
    [
        ({}, TORCHRUN, "torchrun has started 4 on 2 machines; use --devices 2 --num-nodes 2"),
        ({"devices": 4}, TORCHRUN, "that makes 4 processes, but torchrun has started 4 on 2 machines"),
        ({"devices": 2, "num_nodes": 2}, TORCHRUN, None),
        ({"devices": 2}, SLURM, "SLURM has started 4 on 2 machines; use --devices 2 --num-nodes 2"),
        ({"devices": 2, "num_nodes": 2}, SLURM, None),
        ({}, {**SLURM, "SLURM_JOB_NAME": "bash"}, None),
        ({"num_nodes": 2}, {}, "set MASTER_ADDR and NODE_RANK on each"),
        ({"num_nodes": 2}, {"MASTER_ADDR": "a"}, "set NODE_RANK on each"),
        ({"num_nodes": 2}, {"MASTER_ADDR": "a", "NODE_RANK": "0"}, None),
    ],
)
def test_another_number_of_processes_than_there_are_is_refused(
    tmp_path: Path, given: dict[str, Any], environment: dict[str, str], message: str | None
) -> None:
    settings = small_settings(tmp_path, **given)
    if message is None:
        check_processes(settings, environment)
        return
    with pytest.raises(SettingsError, match=re.escape(message)):
        check_processes(settings, environment)


def test_of_each_machine_one_process_tells_of_a_mistake() -> None:
    assert is_first_of_node({})
    assert is_first_of_node({"NODE_RANK": "1", "LOCAL_RANK": "0"})
    assert not is_first_of_node({"LOCAL_RANK": "1"})
    assert not is_first_of_node(SLURM)
    assert find_launcher({}) is None
