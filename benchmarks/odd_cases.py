"""Command lines, YAML files and notations that nobody should write, drawn at random and picked by hand.

The same seed draws the same ones. `benchmarks/odd_input.py` tries them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from ansnet.commands.main import COMMANDS
from odd_values import LINES, NOTATIONS, NUMBERS, TEXTS, YAMLS

SMALL = "CR(2), M(16), L(10)"
BASE = ["--dataset=shapes10", f"--model={SMALL}", "--accelerator=cpu"]

LETTERS = "CNRMLXcnrml"


@dataclass(frozen=True)
class Case:
    """A command line, and the files that it needs.

    Attributes:
        kind: of input, as the table has it.
        command: a name in `COMMANDS`, or "" for ``python -m ansnet`` itself.
        words: what follows it; ``{here}`` stands for the folder of the files.
        files: their contents by name.
        names: of which a refusal has to have one: flags, files, keys or words; none for any.
    """

    kind: str
    command: str
    words: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict)
    names: tuple[str, ...] = ()


def notations(draw: random.Random, number: int) -> Iterator[Case]:
    """For ``summary`` and ``train``: all that are picked, then as many as are wanted."""
    for turn in range(number):
        if turn < 2 * len(NOTATIONS):
            notation = NOTATIONS[turn // 2]
        else:
            notation = (
                mutated(draw, random_notation(draw)) if draw.random() < 0.6 else random_notation(draw)
            )
        if turn % 2:
            yield Case("notation", "summary", (notation,), names=("notation", "model", "zero byte"))
        else:
            words = ("--dataset=shapes10", "--accelerator=cpu", "--batch-size=2", f"--model={notation}")
            yield Case("notation", "train", words, names=("notation", "model", "--batch-size"))


def random_notation(draw: random.Random, depth: int = 0) -> str:
    """Half of them are networks."""
    parts = []
    for _ in range(draw.randint(1, 5)):
        number = draw.choice([1, 2, 3, 4, 8, 10, 33, 1000, 10**6, 10**9])
        parts.append(
            draw.choice([f"C({number})", f"CNR({min(number, 64)})", "R", "N", f"M({min(number, 4)})"])
        )
    if depth < 3 and draw.random() < 0.3:
        parts.append(f"res({random_notation(draw, depth + 1)})")
    return ", ".join(
        parts if depth else [*parts, draw.choice(["L(10)", "L(10)", "LR(16), L(10)", "L(3)"])]
    )


def mutated(draw: random.Random, text: str) -> str:
    """One to three characters taken away, doubled, or put in."""
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(text) + 1)
        put = draw.choice(["", "(", ")", ",", " ", "9" * 8, "0", "-", "é", *LETTERS])
        text = text[:place] + put + text[place + draw.randint(0, 2) :]
    return text


def command_lines(draw: random.Random, number: int, options: dict[str, list[Any]]) -> Iterator[Case]:
    """Random ones for all commands.

    Args:
        draw: the source of chance.
        number: how many.
        options: of each command the actions of its parser.
    """
    for turn in range(number):
        command = draw.choice(["train", "train", "train", "find-lr", *COMMANDS])
        if turn % 50 == 0:
            words = tuple(draw.choice(TEXTS) for _ in range(draw.randint(0, 2)))
            yield Case("command line", "", words)
            continue
        chosen = draw.sample(options[command], min(draw.randint(1, 4), len(options[command])))
        words = tuple(word for action in chosen for word in as_words(draw, action))
        base = (
            BASE
            if command in ("train", "find-lr") and draw.random() < 0.9
            else positional(draw, command)
        )
        if command == "find-lr":
            base = [*base, "--out={here}/found.png"]
        yield Case("command line", command, (*base, *words))


def positional(draw: random.Random, command: str) -> list[str]:
    """What a command needs beside its options; often another thing."""
    if draw.random() < 0.3:
        return [draw.choice(TEXTS + NUMBERS)]
    needed = {
        "evaluate": ["{here}/run/checkpoints/last.ckpt"],
        "export": [
            "{here}/run/checkpoints/last.ckpt",
            "--format=torch",
            "--out={here}/new.pt",
            "--force",
        ],
        "predict": ["{here}/picture.png", "--run={here}/trained.safetensors"],
        "compare": ["{here}/run", "{here}/other", "--out={here}/compare.png"],
        "summary": [SMALL],
        "models": ["vgg*"],
        "check": ["ansnet.functional:relu", "--only=gradcheck"],
    }
    return needed.get(command, [])


def as_words(draw: random.Random, action: Any) -> list[str]:
    """An option as it may be written, with a value that may be one."""
    flag = draw.choice(action.option_strings or [""])
    value = draw.choice(pool(draw, action))
    if not flag:
        return [value]
    if action.nargs == 0 or type(action).__name__ == "ActionYesNo":
        form = draw.choice(["{flag}", "{flag}", "{flag}={value}", "--no-{name}", "{flag}s"])
        return [form.replace("{flag}", flag).replace("{name}", flag[2:]).replace("{value}", value)]
    match draw.randrange(12):
        case 0:
            return [flag]
        case 1:
            return [f"{flag[:-2]}={value}"]
        case 2:
            return [f"{flag}.{draw.choice('abx')}={value}"]
        case 3:
            return [f"{flag}+={value}"]
        case 4:
            return [f"{flag}={value}", f"{flag}={draw.choice(pool(draw, action))}"]
        case 5:
            return [flag.upper(), value]
        case 6 | 7:
            return [flag, value]
        case _:
            return [f"{flag}={value}"]


def pool(draw: random.Random, action: Any) -> tuple[str, ...]:
    if action.choices and draw.random() < 0.5:
        return tuple(map(str, action.choices))
    return draw.choice([NUMBERS, TEXTS, ("1", "2", "0.5", "0.1")])


def yaml_files(draw: random.Random, number: int, keys: list[str]) -> Iterator[Case]:
    """For ``--config``: all that are picked, then random values and damaged files."""
    for turn in range(number):
        content = YAMLS[turn] if turn < len(YAMLS) else random_yaml(draw, keys)
        command = "find-lr" if draw.random() < 0.2 else "train"
        extra = ("--out={here}/found.png",) if command == "find-lr" else ()
        words = (*BASE, "--config={here}/odd.yaml", *extra)
        names = ("odd.yaml", *(f"--{key.replace('_', '-')}" for key in keys))
        yield Case("YAML", command, words, {"odd.yaml": content}, names)


def random_yaml(draw: random.Random, keys: list[str]) -> bytes:
    values = [1, 0, -1, 0.5, True, None, "", "vgg7", "none", [1], {"a": 1}, 10**20, 1e300, "1e-3", "é"]
    chosen = {
        (key if draw.random() < 0.9 else mutated(draw, key)): draw.choice(values)
        for key in draw.sample(keys, draw.randint(1, 6))
    }
    text = yaml.safe_dump(chosen, allow_unicode=True)
    if draw.random() < 0.5:
        text = mutated(draw, text)
    content = bytearray(text.encode(errors="surrogateescape"))
    if draw.random() < 0.3:
        for _ in range(draw.randint(1, 3)):
            content[draw.randrange(len(content))] = draw.randrange(256)
    return bytes(content)


def picked_lines() -> Iterator[Case]:
    """Command lines picked by hand: what was found wrong, and what is like it."""
    for line in LINES:
        command, *words = line.split(" ")
        known = command in COMMANDS
        base = BASE if command in ("train", "find-lr") else []
        rest = [*base, *words] if known else [command, *words]
        yield Case("command line", command if known else "", tuple(rest))
    for command in COMMANDS:
        for word in ("--help", "--helpp", "\udcff", "a\0b", "x" * 100_000, "--config", "-", ""):
            yield Case("command line", command, (word,))
