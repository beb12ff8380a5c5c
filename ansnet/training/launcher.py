"""Who has started the processes of a run, as the environment tells; nothing heavy is loaded for it.

Lightning starts the processes of a machine itself, one a device, unless ``torchrun`` or SLURM's
``srun`` has (``docs/devices.md``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from ansnet.training.settings import Settings, SettingsError

NODE = ("MASTER_ADDR", "NODE_RANK")  # what Lightning has to be told on each of several machines


class Launcher(NamedTuple):
    """What has started this process, if not Lightning.

    Attributes:
        name: as a user knows it.
        processes: how many it has started, on all machines.
        nodes: on how many machines; None where it does not say.
        place: the variable with the number of this process on its machine.
    """

    name: str
    processes: int
    nodes: int | None
    place: str


def find_launcher(environment: Mapping[str, str] = os.environ) -> Launcher | None:
    """The launcher, found as Lightning finds it: torchrun first, and no SLURM in an interactive job."""
    if "TORCHELASTIC_RUN_ID" in environment:
        processes = int(environment["WORLD_SIZE"])
        nodes = processes // int(environment.get("LOCAL_WORLD_SIZE", processes))
        return Launcher("torchrun", processes, nodes, "LOCAL_RANK")
    interactive = environment.get("SLURM_JOB_NAME") in ("bash", "interactive")
    if "SLURM_NTASKS" in environment and not interactive:
        given = environment.get("SLURM_NNODES")
        on = None if given is None else int(given)
        return Launcher("SLURM", int(environment["SLURM_NTASKS"]), on, "SLURM_LOCALID")
    return None


def is_first_of_node(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process tells of a mistake that all processes of its machine find."""
    launcher = find_launcher(environment)
    return environment.get("LOCAL_RANK" if launcher is None else launcher.place, "0") == "0"


def check_processes(settings: Settings, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse another number of processes than there are, for which these would wait.

    Raises:
        SettingsError: saying how many have been started, and by what; or that nothing says which of
            several machines this one is.
    """
    devices, nodes, launcher = settings.devices, settings.num_nodes, find_launcher(environment)
    given = f"--devices {devices} --num-nodes {nodes}"
    if launcher is None:
        missing = [name for name in NODE if not environment.get(name)]
        if nodes > 1 and missing:
            raise SettingsError(
                f"--num-nodes {nodes}: nothing says which of them this machine is; start with torchrun "
                f"or srun, or set {' and '.join(missing)} on each"
            )
    elif (devices * nodes, nodes) != (launcher.processes, launcher.nodes or nodes):
        there = launcher.nodes or nodes
        advice = (
            f"use --devices {launcher.processes // there} --num-nodes {there}"
            if launcher.processes % there == 0
            else "have as many started on each machine"
        )
        raise SettingsError(
            f"{given}: that makes {counted(devices * nodes, 'process', 'processes')}, but "
            f"{launcher.name} has started {launcher.processes} on "
            f"{counted(there, 'machine', 'machines')}; {advice}"
        )


def counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
