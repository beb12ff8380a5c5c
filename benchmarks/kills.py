"""A training that is killed at random moments, and goes on, beside one that nobody kills::

    python benchmarks/kills.py --kills 50 --log-dir /dev/shm/kills

Each training is `python -m ansnet train` in a process of its own, which is sent SIGKILL while it
trains, validates and saves, and is gone on with by ``--resume``, as often as it takes to its end.
It saves within its epochs as often as it can, so that many of the kills fall into the writing of a
checkpoint. In the end it has to have the weights, the ``metrics.csv`` and TensorBoard's scalars of the
training that nobody has killed, bit for bit and each step once; what is measured in time is left out.
With ``--term`` every second signal is SIGTERM, after which it saves and ends by itself.

A log folder in memory, as ``/dev/shm``, is on another file system than the temporary folder. What
came of it is added to ``checks/kills.csv`` of the results.
"""

from __future__ import annotations

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from measure import make_parser
from results import Conditions, append, conditions

# 2.1 million weights, whose checkpoint takes longer than a step
TRAINING = (
    *("--model", "CNR(16), M(4), LNR(2048), L(10)"),
    *("--dataset", "shapes10", "--limit-batches", "24", "--max-epochs", "3", "--batch-size", "32"),
    *("--augment", "--flip", "alternating", "--schedule", "linear", "--warmup", "0.2", "--ema", "0.9"),
    *("--accelerator", "cpu", "--compile", "none", "--checkpoint-every", "1e-6"),
)
LIMIT = 600  # seconds until a process that is not killed has to be through


@dataclass(frozen=True, kw_only=True)
class Row(Conditions):
    """A line of the CSV.

    Attributes:
        file_system: of the log folder, by the place that it is mounted at.
        signals: that were sent while a training was going on.
        in_write: of them, while a checkpoint was being written.
        trainings: that came to their end, each killed as often as it takes.
        same: of them, with the weights, rows and scalars of the one that nobody has killed.
    """

    file_system: str
    terminated: int
    signals: int
    in_write: int
    trainings: int
    same: int


@dataclass
class Count:
    signals: int = 0
    terminated: int = 0
    in_write: int = 0
    trainings: int = 0
    same: int = 0


def main() -> None:
    parser = make_parser(__doc__, rounds=1)
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="signals to send")
    parser.add_argument("--term", action="store_true", help="every second one is SIGTERM")
    parser.add_argument("--log-dir", type=Path, help="where to record; otherwise a temporary folder")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--keep", type=Path, help="where to copy a training that is not the same")
    options = parser.parse_args()
    moments, count = random.Random(options.seed), Count()
    with TemporaryDirectory(dir=options.log_dir) as folder:
        whole = Path(folder, "whole")
        start = time.monotonic()
        finish(begin(whole), whole)
        expected, seconds = outcome(whole), trained_seconds(whole)
        print(
            f"whole: {time.monotonic() - start:.0f} s, of them {seconds:.1f} s of training", flush=True
        )
        while count.signals < options.kills:
            log_dir = Path(folder, f"killed_{count.trainings}")
            train_through_kills(log_dir, options, moments, seconds, count)
            count.trainings += 1
            different = [part for part, value in outcome(log_dir).items() if value != expected[part]]
            count.same += not different
            print(
                f"training {count.trainings}: "
                + (f"another {', '.join(different)}; see {log_dir}" if different else "the same")
                + f"; {count.signals} signals so far, {count.in_write} in the writing of a checkpoint",
                flush=True,
            )
            if different and options.keep:
                shutil.copytree(log_dir, options.keep, dirs_exist_ok=True)
        file_system = mounted_at(Path(folder))
    row = Row(
        file_system=file_system,
        terminated=count.terminated,
        signals=count.signals,
        in_write=count.in_write,
        trainings=count.trainings,
        same=count.same,
        **conditions(torch.device("cpu")),
    )
    print(row)
    append([row], options.results / "checks" / "kills.csv")
    if count.same < count.trainings:
        sys.exit(1)


def train_through_kills(
    log_dir: Path, options: Any, moments: random.Random, seconds: float, count: Count
) -> None:
    """Train, kill, go on, until a training has come to its end or enough signals have been sent."""
    process = begin(log_dir)
    while count.signals < options.kills:
        if not await_training(process, log_dir):
            break
        wait = moments.uniform(0, seconds)
        how = signal.SIGTERM if options.term and count.signals % 2 else signal.SIGKILL
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            pass
        else:
            break
        count.in_write += any(log_dir.glob("notation/*/checkpoints/.*.tmp"))
        process.send_signal(how)
        code = process.wait(LIMIT)
        count.signals += 1
        count.terminated += how is signal.SIGTERM
        if how is signal.SIGTERM and code == 0:  # it was through when it came
            return
        is_saved = any(log_dir.glob("notation/*/checkpoints/*.ckpt"))
        process = begin(log_dir, "--resume") if is_saved else begin(log_dir)
    finish(process, log_dir)


def begin(log_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ansnet", "train", "--log-dir", str(log_dir)]
    output = log_dir.with_suffix(".txt").open("a")
    return subprocess.Popen(
        [*command, *(arguments or TRAINING)],
        stdout=output,
        stderr=output,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # the order of sums is to be the same
    )


def await_training(process: subprocess.Popen[str], log_dir: Path) -> bool:
    """Wait until a run has made its folder, and say whether it is going on."""
    known = set(log_dir.glob("notation/version_*"))
    while process.poll() is None:
        if set(log_dir.glob("notation/version_*")) - known:
            return True
        time.sleep(0.02)
    return False


def finish(process: subprocess.Popen[str], log_dir: Path) -> None:
    if code := process.wait(LIMIT):
        if "so nothing is left of --max-epochs" in log_dir.with_suffix(".txt").read_text():
            return  # it was killed when it had come to its end
        last = log_dir.with_suffix(".txt").read_text().splitlines()[-5:]
        raise SystemExit("\n".join([f"a training that was not killed ended with {code}:", *last]))


def last_folder(log_dir: Path) -> Path:
    folders = [path.parent.parent for path in log_dir.glob("*/*/checkpoints/last.ckpt")]
    return max(folders, key=lambda path: int(path.name.removeprefix("version_")))


def trained_seconds(log_dir: Path) -> float:
    with (last_folder(log_dir) / "metrics.csv").open(newline="") as file:
        return max(float(row["training_seconds"] or 0) for row in csv.DictReader(file))


def outcome(log_dir: Path) -> dict[str, Any]:
    """What a run that came to its end has left, less what is measured in time."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = last_folder(log_dir)
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [
            {name: value for name, value in row.items() if "second" not in name}
            for row in csv.DictReader(file)
        ]
    events = EventAccumulator(str(folder), {"scalars": 0}).Reload()
    scalars = {
        tag: [(each.step, each.value) for each in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if not tag.startswith("speed/")
    }
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    weights = {
        f"{part} {name}": tensor.numpy().tobytes()
        for part in ("state_dict", "current_model_state")
        for name, tensor in state[part].items()
    }
    best = sorted(path.name for path in (folder / "checkpoints").iterdir())
    return {"rows": rows, "scalars": scalars, "weights": weights, "checkpoints": best}


def mounted_at(path: Path) -> str:
    path = path.resolve()
    return str(next(place for place in (path, *path.parents) if place.is_mount()))


if __name__ == "__main__":
    main()
