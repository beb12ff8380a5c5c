"""What every test may rely on: the data's place, devices, and the names that examples use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import ansnet.compatibility  # noqa: F401  before any test imports torchvision
from ansnet.training import processor
from ansnet.training.settings import DATA_DIR_VARIABLE


def pytest_configure() -> None:
    """Side by side (``pytest -n``), each process, and what it starts, takes its share of the cores."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if processes > 1 and "OMP_NUM_THREADS" not in os.environ:
        share = max(1, torch.get_num_threads() // processes)
        torch.set_num_threads(share)
        os.environ["OMP_NUM_THREADS"] = str(share)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_data = pytest.mark.skip(reason=f"needs CIFAR-10: ${DATA_DIR_VARIABLE} names no folder with it")
    no_cuda = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if "cifar10" in item.keywords and not cifar10_folder().is_dir():
            item.add_marker(no_data)
        if "cuda" in item.keywords and not torch.cuda.is_available():
            item.add_marker(no_cuda)
    # the longest first, for which at the end the other processes would wait
    items.sort(key=lambda item: "cifar10" not in item.keywords)


def cifar10_folder() -> Path:
    return Path(os.environ.get(DATA_DIR_VARIABLE, ""), "cifar-10-batches-py").absolute()


@pytest.fixture
def cifar10_dir() -> Path:
    """The folder that holds the official CIFAR-10; for tests marked ``cifar10``."""
    return cifar10_folder().parent


@pytest.fixture(scope="session", autouse=True)
def _same_precision_on_any_machine() -> Iterator[None]:
    """What a run computes in is not measured, which would take time, and might turn out otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processor, "multiplies_bfloat16", lambda: False)
        yield


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _names_for_examples(doctest_namespace: dict[str, Any]) -> None:
    doctest_namespace["torch"] = torch
