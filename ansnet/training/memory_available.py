"""How much memory a process can still have: of the machine, of its control group, or of the GPU."""

from __future__ import annotations

from pathlib import Path

import torch

PROC = Path("/proc")
GROUPS = Path("/sys/fs/cgroup")
UNLIMITED = 2**60  # bytes; version 1 says a number near 2⁶³ where there is no limit


def available_memory(kind: str) -> int | None:
    """Bytes that a process can still have on a CPU or a GPU; None where that is not known.

    On a CPU it is Linux's own estimate (``MemAvailable`` of ``/proc/meminfo``), or what the control
    group leaves if that is less (*Control Group v2*, "Memory Interface Files";
    ``memory.limit_in_bytes`` of version 1), and what is free of the swap.

    Args:
        kind: ``"cpu"``, ``"cuda"`` or another.
    """
    if kind == "cuda":
        free, _ = torch.cuda.mem_get_info()
        return free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
    if kind != "cpu":
        return None
    machine = numbers(PROC / "meminfo")
    if "MemAvailable" not in machine:
        return None
    free, swap = 1024 * machine["MemAvailable"], 1024 * machine.get("SwapFree", 0)
    return min([free + swap, *(left_in(folder, swap) for folder in control_groups())])


def control_groups() -> list[Path]:
    """The folders of the control groups with a limit that the process is in, those around them too.

    Seen from inside a container its path is often that on the host, and only the last folder is there.
    """
    try:
        lines = [line.split(":", 2) for line in (PROC / "self/cgroup").read_text("utf-8").splitlines()]
    except OSError:
        return []
    found: list[Path] = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers and "memory" not in controllers.split(","):
            continue
        base = GROUPS / "memory" if controllers else GROUPS
        folder = base / path.lstrip("/")
        around = [each for each in (folder, *folder.parents) if each == base or base in each.parents]
        found += [each for each in around if limit_of(each) is not None]
    return found


def limit_of(folder: Path) -> int | None:
    """Bytes that a control group may have, by the file of version 2 or of version 1; None for any."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        limit = numbers(folder / name).get("")
        if limit is not None and limit < UNLIMITED:
            return limit
    return None


def left_in(folder: Path, swap: int) -> int:
    """What a control group leaves; pages of files that can be forgotten count as free.

    Args:
        folder: of one that has a limit.
        swap: bytes that the machine has free of it, of which the group may be allowed less.
    """
    limit, counts = limit_of(folder) or 0, numbers(folder / "memory.stat")
    used = {**numbers(folder / "memory.usage_in_bytes"), **numbers(folder / "memory.current")}.get(
        "", 0
    )
    cache = counts.get("total_inactive_file", counts.get("inactive_file", 0))
    return limit - used + cache + min(swap, numbers(folder / "memory.swap.max").get("", swap))


def numbers(file: Path) -> dict[str, int]:
    """The numbers of a file of the kernel's by their names; a number alone has the name "".

    What is no number, as ``max``, is left out, and of a file that is not there all.
    """
    try:
        lines = file.read_text("ascii").splitlines()
    except (OSError, ValueError):
        return {}
    words = [line.replace(":", " ").removesuffix(" kB").split() for line in lines]
    named = [each if len(each) == 2 else ["", *each] for each in words if len(each) in (1, 2)]
    return {name: int(number) for name, number in named if number.isdigit()}
