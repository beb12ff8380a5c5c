"""Whether every command answers odd input with one clear line: thousands of inputs, one process.

    python benchmarks/odd_input.py                      # 3,600 inputs, and a CSV of what came of them
    python benchmarks/odd_input.py --cases 400 --seed 7  # others
    python benchmarks/odd_input.py --only YAML --show    # one kind, each with its answer

Each input is given to the command itself, in this process. It either runs, or exits with 2 and one
line on stderr that names what is wrong. Otherwise, or if it takes longer than a minute or half a
gigabyte, it is a fault, and is printed.

Nothing that checks is replaced. What is: Lightning's ``fit`` and ``validate`` and the battery, which
are where an input has passed all checks; the number of drawn shapes, so that they are drawn at once;
the network, which is out of reach; and what the machine says of its memory, 1 GiB, so that what fits
into a large machine is not tried here.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import resource
import shutil
import signal
import socket
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest import mock

import torch

import odd_cases
import odd_files
from ansnet.commands.config_file import NO_OPTIONS
from ansnet.commands.main import COMMANDS
from ansnet.commands.main import main as ansnet
from ansnet.compatibility import lightning
from ansnet.data import Shapes10DataModule
from ansnet.training import memory_available
from measure import RESULTS
from odd_cases import SMALL, Case
from results import Conditions, append, conditions

LIMIT = 60  # seconds
SURPRISE = 2**29  # bytes that a single input may add to the process
SHARES = {"command line": 0.37, "YAML": 0.17, "notation": 0.14, "checkpoint": 0.17, "weights": 0.1}
TOUCHES_MEMORY = "MemAvailable: 1048576 kB\nSwapFree: 0 kB\n"


class Reached(BaseException):
    """All checks are passed, and the training would begin."""


class Hang(BaseException):
    """It has taken too long."""


@dataclass(frozen=True, kw_only=True)
class Tried(Conditions):
    """A line of the table: what came of the inputs of one kind, by one command.

    Attributes:
        kind: of input: command line, YAML, notation, checkpoint, weights (a safetensors file), record.
        command: ansnet's; empty for ``python -m ansnet`` itself.
        seed: by which they were drawn.
        inputs: how many.
        ran: that were carried out, or passed all checks before a training.
        refused: by one line and exit code 2.
        faults: neither.
        slowest: seconds of the slowest input.
    """

    kind: str
    command: str
    seed: int
    inputs: int
    ran: int
    refused: int
    faults: int
    slowest: float


@dataclass(frozen=True)
class Answer:
    """What came of a case; ``fault`` says what is wrong with it, if anything is."""

    case: Case
    code: int | None
    errors: str
    seconds: float
    fault: str | None


@contextlib.contextmanager
def prepared(here: Path) -> Iterator[None]:
    """A folder with a trained network, a picture, a record and a pipe; and no training (see above)."""

    def reach(*_: Any, **__: Any) -> Any:
        raise Reached

    def refuse(*_: Any) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    Shapes10DataModule.train_size, sizes = (
        60,
        (
            Shapes10DataModule.train_size,
            Shapes10DataModule.val_size,
        ),
    )
    Shapes10DataModule.val_size = 20
    before = Path.cwd()
    os.chdir(here)
    try:
        make_files(here)
        proc = here / "proc"
        proc.mkdir()
        (proc / "meminfo").write_text(TOUCHES_MEMORY, "ascii")
        with (
            mock.patch.object(memory_available, "PROC", proc),
            mock.patch.object(lightning.Trainer, "fit", reach),
            mock.patch.object(lightning.Trainer, "validate", reach),
            mock.patch.object(socket.socket, "connect", refuse),
            mock.patch("ansnet.testing.battery.check", reach),
            mock.patch(
                "ansnet.processes.can_fork", return_value=False
            ),  # what is reached is, in this one
            mock.patch.dict(os.environ, {"ANSNET_DATA_DIR": str(here / "nowhere")}),
        ):
            yield
    finally:
        os.chdir(before)
        Shapes10DataModule.train_size, Shapes10DataModule.val_size = sizes


def make_files(here: Path) -> None:
    """What whole inputs are made of: a run of one epoch, and its weights, a picture and a pipe."""
    from PIL import Image

    words = f"--dataset=shapes10 --accelerator=cpu --max-epochs=1 --batch-size=20 --log-dir={here}/logs"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ansnet(["train", *words.split(), f"--model={SMALL}", "--pictures-every=0"])
        (folder,) = (here / "logs" / "notation").iterdir()
        shutil.copytree(folder, here / "run")
        shutil.copytree(folder, here / "other")
        shutil.copytree(folder, here / "odd")
        ansnet(["export", f"{here}/run", "--format=safetensors", f"--out={here}/trained.safetensors"])
    Image.new("RGB", (8, 8)).save(here / "picture.png")
    os.mkfifo(here / "pipe")


def all_cases(here: Path, seed: int, number: int) -> Iterator[Case]:
    """The inputs of a seed, about so many; those that are picked by hand come on top."""
    draw = random.Random(seed)
    options = {
        name: [action for action in actions_of(name) if action.dest != "help"] for name in COMMANDS
    }
    keys = [action.dest for action in options["train"] if action.dest not in NO_OPTIONS]
    each = {kind: round(share * number) for kind, share in SHARES.items()}
    checkpoint = (here / "run" / "checkpoints" / "last.ckpt").read_bytes()
    trained = (here / "trained.safetensors").read_bytes()
    record = [(here / "run" / name).read_bytes() for name in ("hparams.yaml", "metrics.csv")]
    if number >= 1000:
        yield from odd_cases.picked_lines()
    yield from odd_cases.command_lines(draw, each["command line"], options)
    yield from odd_cases.yaml_files(draw, each["YAML"], keys)
    yield from odd_cases.notations(draw, each["notation"])
    contents = odd_files.checkpoints(draw, round(0.75 * each["checkpoint"]), checkpoint, here / "proof")
    yield from odd_files.cases_of_files("checkpoint", "odd.ckpt", contents)
    contents = odd_files.weights(draw, round(0.75 * each["weights"]), trained)
    yield from odd_files.cases_of_files("weights", "odd.safetensors", contents)
    yield from odd_files.records(draw, number - sum(each.values()), record[0], record[1])


def actions_of(command: str) -> list[Any]:
    parser: Any = import_module(f"ansnet.commands.{command.replace('-', '_')}").make_parser()
    return list(parser._actions)


def answer(case: Case, here: Path) -> Answer:
    """Give a command its input, and look at what it does."""
    for name, content in case.files.items():
        (here / name).write_bytes(content)
    words = [word.replace("{here}", str(here)) for word in case.words]
    out, errors = stream(), stream()
    fault: str | None = None
    code: int | None = None
    memory, start = peak(), perf_counter()
    signal.signal(signal.SIGALRM, hang)
    signal.alarm(LIMIT)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = ansnet([case.command, *words] if case.command else words)
    except Reached:
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except Hang:
        fault = f"took longer than {LIMIT} s"
    except BaseException:
        lines = traceback.format_exc().splitlines()
        fault = "\n".join(["a traceback", *(line[:200] for line in lines[-12:])])
    finally:
        signal.alarm(0)
    seconds = perf_counter() - start
    told = text(errors)
    if fault is None:
        fault = what_is_wrong(case, code, told, words)
    if fault is None and peak() - memory > SURPRISE:
        fault = f"took {(peak() - memory) / 2**30:.1f} GiB"
    return Answer(case, code, told, seconds, fault)


def what_is_wrong(case: Case, code: int | None, errors: str, words: Sequence[str]) -> str | None:
    """What is not as it should be of an answer; None if nothing is."""
    if "Traceback" in errors:
        return "a traceback on stderr"
    if code in (0, 1):
        return None
    if code != 2:
        return f"exit code {code}"
    lines = errors.splitlines()
    if not case.command:
        return None if errors.startswith(("usage:", "python -m ansnet: error:")) else "no such line"
    if case.command != "predict" and len(lines) != 1:
        return f"{len(lines)} lines"
    if not lines or not lines[-1].startswith(f"python -m ansnet {case.command}: "):
        return "no line that begins with the command"
    if len(lines[-1]) > 1000:
        return f"a line of {len(lines[-1])} characters"
    named = [*case.names, *named_in(words)]
    if not any(each in lines[-1] for each in named):
        return f"names none of {', '.join(map(repr, named))}"
    return None


def named_in(words: Sequence[str]) -> Iterator[str]:
    """What a line about these words can be expected to name: a flag, or the word itself."""
    for word in words:
        # as `ansnet.commands.terminal` has it: bytes of a name as they are, and ? for what is none
        printed = " ".join(word.replace("\ud800", "?").split())
        value = printed.partition("=")[2] or printed.partition(":")[2]
        yield from (word.split("=")[0][:20], repr(word)[1:15], printed[:20])
        yield from filter(None, [value[:20]])
        if word.startswith("--no-"):
            yield f"--{word.removeprefix('--no-').split('=')[0]}"
    # what is required, and what stands for what was not given
    yield from ("RUN", "IMAGE", "package.module", "are required", "--format", "--model", "--log-dir")
    yield from ("--data-dir", "--dataset", "folder:", "lightning_logs", "--mirror")


def stream() -> io.TextIOWrapper:
    """As the process's own: of UTF-8; and of stderr what cannot be printed is escaped."""
    return io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", newline="\n")


def text(written: io.TextIOWrapper) -> str:
    written.flush()
    buffer: Any = written.buffer
    return str(buffer.getvalue().decode("utf-8", "surrogateescape"))


def hang(*_: object) -> None:
    raise Hang


def peak() -> int:
    """Bytes of memory that the process has had at its most."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def try_all(seed: int, number: int, only: str | None = None) -> Iterator[Answer]:
    """Try the inputs of a seed; a pickle that was executed is a fault of the input before."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        here = Path(folder)
        with prepared(here):
            for case in all_cases(here, seed, number):
                if only is not None and only not in (case.kind, case.command):
                    continue
                tried = answer(case, here)
                if (here / "proof").exists():
                    (here / "proof").unlink()
                    tried = Answer(
                        case, tried.code, tried.errors, tried.seconds, "a pickle was executed"
                    )
                yield tried


def table(answers: Sequence[Answer], seed: int) -> list[Tried]:
    """A row for each kind and command."""
    rows = []
    for kind, command in sorted({(each.case.kind, each.case.command) for each in answers}):
        own = [each for each in answers if (each.case.kind, each.case.command) == (kind, command)]
        counts = Counter(
            "faults" if each.fault else "refused" if each.code == 2 else "ran" for each in own
        )
        rows.append(
            Tried(
                kind=kind,
                command=command,
                seed=seed,
                inputs=len(own),
                ran=counts["ran"],
                refused=counts["refused"],
                faults=counts["faults"],
                slowest=max(each.seconds for each in own),
                **conditions(torch.device("cpu")),
            )
        )
    return rows


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=3600, help="default 3600")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--only", help="a kind, or a command; nothing is recorded then")
    parser.add_argument("--show", action="store_true", help="print each input with its answer")
    parser.add_argument("--results", type=Path, default=RESULTS / "checks", help="where the CSV goes")
    options = parser.parse_args(words)
    answers = []
    for tried in try_all(options.seed, options.cases, options.only):
        answers.append(tried)
        if tried.fault or options.show:
            shown = [repr(word[:100]) for word in (tried.case.command, *tried.case.words)]
            content = next(iter(tried.case.files.values()), b"")[:120]
            print(*shown, repr(content) if content else "", f"{tried.seconds:.1f} s", flush=True)
            print(f"    {tried.code}: {tried.errors[:600]}", flush=True)
            if tried.fault:
                print(f"    FAULT {tried.fault[:2000]}", flush=True)
    rows = table(answers, options.seed)
    for row in rows:
        told = f"{row.inputs} inputs, {row.ran} ran, {row.refused} refused, {row.faults} faults"
        print(f"{row.kind:<13}{row.command:<13}{told}, slowest {row.slowest:.1f} s")
    faults = sum(row.faults for row in rows)
    print(f"{len(answers)} inputs, {faults} faults")
    if options.only is None:
        file = options.results / "odd_input.csv"
        file.unlink(missing_ok=True)
        append(rows, file)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
