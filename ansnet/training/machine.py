"""What a run is carried out on: which device, in which precision, compiled or not."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

import torch
from torch._functorch import config as functorch

from ansnet.functional.kernel import finds_compiler
from ansnet.training import processor
from ansnet.training.adaptation import is_large
from ansnet.training.devices import can_synchronize, number_of_processes, process_options
from ansnet.training.launcher import check_processes
from ansnet.training.settings import Settings, SettingsError

QUOTA = Path("/sys/fs/cgroup/cpu.max")


def check_machine(settings: Settings) -> None:
    """Refuse devices that are not there, and another number of processes than there are.

    Raises:
        SettingsError: naming what is missing.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
        "auto": True,
    }
    there["gpu"] = there["cuda"] or there["mps"]
    if not there[settings.accelerator]:
        raise SettingsError(
            f"--accelerator {settings.accelerator}: torch {torch.__version__} finds none on this "
            "machine; use --accelerator cpu, or leave it out to take what the machine has"
        )
    cores = os.cpu_count() or 1
    if device_type(settings) == "cpu" and settings.devices > cores:
        raise SettingsError(
            f"--devices {settings.devices}: on a CPU they are processes, and it has {cores} cores; "
            "name fewer"
        )
    check_processes(settings)


def complete_by_device(settings: Settings) -> Settings:
    """Settings with the machine's own in place of a precision, compilation, threads … that are None.

    The precision stays None where it is to be measured (`ansnet.training.precision.settled`).

    Raises:
        SettingsError: compilation is asked for, and there is no compiler; or a precision, or a
            synchronised batch normalisation, is that the device has not.
    """
    device = device_type(settings)
    precision, compilation = settings.precision, settings.compile
    if settings.detect_anomaly:
        check_detection(settings)
        compilation = "none"  # so that each operation has its name
    several, can = number_of_processes(settings) > 1, can_synchronize(settings, device)
    if several and settings.sync_batchnorm and not can:
        raise SettingsError(
            "--sync-batchnorm: PyTorch has none for the CPU; use --ops ansnet or --no-sync-batchnorm"
        )
    # left open on one device, so that what it records can be given to several by --config
    synchronizes = can and settings.sync_batchnorm is not False if several else settings.sync_batchnorm
    if precision is None:
        precision = default_precision(settings, device)
    elif precision == "16-mixed" and device == "cpu":
        raise SettingsError("--precision 16-mixed: a CPU has none; use --precision bf16-mixed")
    if compilation is None:
        compilation = default_compilation(device, settings.dataset)
    elif compilation != "none" and device == "cpu" and not finds_compiler():
        raise SettingsError(
            f"--compile {compilation}: there is no C++ compiler; install g++, name another one in "
            "the variable CXX, or use --compile none"
        )
    processes = settings.devices if device == "cpu" else 1  # which share the cores
    threads = settings.threads or max(1, usable_threads() // processes)
    completed = replace(settings, precision=precision, compile=compilation, threads=threads)
    return replace(completed, sync_batchnorm=synchronizes)


def usable_threads() -> int:
    """What torch takes, ``OMP_NUM_THREADS`` or a thread a core, but no more than a quota of them.

    A container may be given the time of two cores on a machine of many: more threads would stand still
    most of the time, and wait for each other.
    """
    threads, quota = torch.get_num_threads(), core_quota()
    return threads if quota is None else max(1, min(threads, ceil(quota)))


def core_quota(file: Path = QUOTA) -> float | None:
    """How many cores' time the control group may use (``cpu.max``); None if that is not limited."""
    try:
        quota, period = file.read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):  # not Linux, or control groups of another version
        return None


def check_detection(settings: Settings) -> None:
    """Refuse to look for numbers that are not finite where they are there by design, or part of them.

    Raises:
        SettingsError: saying what to use instead.
    """
    if settings.precision == "16-mixed":
        raise SettingsError(
            "--detect-anomaly: with --precision 16-mixed gradients overflow by design, and the step is "
            "left out; use --precision bf16-mixed or 32-true"
        )
    if (processes := number_of_processes(settings)) > 1:
        raise SettingsError(
            f"--detect-anomaly follows one process, and not {processes}; use --devices 1 on one machine"
        )


def default_precision(settings: Settings, device: str) -> str | None:
    """None where it is to be measured: on a CPU to which bfloat16 may be quicker.

    Not where several processes might find different ones, nor where few steps are taken, to look for a
    mistake.
    """
    if device == "cuda":
        return "bf16-mixed"
    several = number_of_processes(settings) > 1
    debugs = settings.limit_batches or settings.overfit_batches or settings.detect_anomaly
    measures = device == "cpu" and not several and not debugs and processor.multiplies_bfloat16()
    return None if measures else "32-true"


def default_compilation(device: str, dataset: str) -> str:
    if device == "cuda":
        return "network"
    # A run on few images is over before generated code has paid for its generation.
    return "operations" if device == "cpu" and is_large(dataset) and finds_compiler() else "none"


def device_type(settings: Settings) -> str:
    """``"cuda"``, ``"mps"`` or ``"cpu"``: what the accelerator stands for on this machine."""
    if settings.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "cuda"
    if settings.accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return "mps"
    return "cpu"


def device_options(settings: Settings) -> dict[str, Any]:
    """What a trainer is told of where it trains."""
    return {
        "accelerator": settings.accelerator,
        **process_options(settings),
        "precision": settings.precision,
        "deterministic": True,
    }


@contextmanager
def as_settled(settings: Settings) -> Iterator[None]:
    """Compiling what is to be compiled, and silent about what is expected.

    What a compiled network has been made into is kept for the next process although there are Functions
    in it, which is PyTorch's choice for other networks. It is found again by what their forward and
    backward are traced to, so that a changed formula is compiled anew.
    """
    stance = torch.compiler.set_stance("force_eager") if settings.compile == "none" else nullcontext()
    keep = functorch.patch(autograd_cache_allow_custom_autograd_functions=True)
    with warnings.catch_warnings(), stance, keep:
        silence_expected_messages()
        yield


def silence_expected_messages() -> None:
    """Silence what the user can do nothing about, and what the introduction says better."""
    # torch for CUDA, on a machine without a GPU, when it looks for the C++ compiler
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    for part in ("pytorch", "fabric"):
        logging.getLogger(f"lightning.{part}.utilities.rank_zero").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.trainer.connectors.signal_connector").setLevel(logging.WARNING)
    # Which process is which; and Lightning 2.6 beside torch 2.14.
    logging.getLogger("lightning.fabric.utilities.distributed").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", r"torch\.distributed\.nn\.functional\.\w+. is deprecated.*")
    # A resumed run is recorded in a folder of its own.
    warnings.filterwarnings("ignore", "The dirpath has changed from.*")
    # The epoch is every process's, speed and time are those of the first.
    warnings.filterwarnings("ignore", "It is recommended to use `self.log.*sync_dist=True")
    # Lightning 2.6 beside torch 2.15.
    warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\).*", FutureWarning)
