"""Checkpoints, files of weights and records of runs with something else in them."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from odd_cases import BASE, Case

VALUES: tuple[Any, ...] = (
    *(
        None,
        0,
        -1,
        10**30,
        1.5,
        float("nan"),
        "",
        "x",
        "vgg7",
        b"x",
        True,
        [],
        {},
        [1],
        {"a": 1},
        (1, 2),
    ),
    *(
        torch.zeros(()),
        torch.zeros(3),
        torch.zeros(3, dtype=torch.int64),
        torch.zeros(0),
        {1: 2},
        [None],
    ),
)
NOTED: tuple[Any, ...] = (
    {"notation": "C(1000000), L(10)", "in_shape": [3, 32, 32], "bias": False, "layers": "ansnet"},
    {"notation": "L(10)", "in_shape": [3, 10**9, 10**9], "bias": False, "layers": "ansnet"},
    {"notation": "L(10)", "in_shape": [3, 32], "bias": False, "layers": "ansnet"},
    {"notation": "L(10)", "in_shape": [0, 0, 0], "bias": False, "layers": "ansnet"},
    {"notation": "x" * 1000, "in_shape": [3, 32, 32], "bias": False, "layers": "ansnet"},
    {"class": "os.system"},
    {"notation": "L(10)", "in_shape": [3, 32, 32], "bias": False, "layers": "jax", "dtype": "load"},
)


ABOUT: tuple[Any, ...] = ([3, 10**6, 10**6], {"mean": [1, 2, 3]}, "C(1000000), L(10)")


class Foreign:
    """What a pickle of somebody else's could run: it would leave a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return exec, (f"open({str(self.place)!r}, 'w')",)


def saved(content: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def checkpoints(draw: random.Random, number: int, whole: bytes, proof: Path) -> Iterator[bytes]:
    """Odd ones: first those that are picked, then whole ones with something else in them.

    Args:
        draw: the source of chance.
        number: how many.
        whole: that of a run.
        proof: a file that is there if a pickle was executed.
    """
    loaded = torch.load(io.BytesIO(whole), weights_only=True)
    picked: list[bytes] = [
        *(
            b"",
            b"\0",
            b"x" * 100,
            b"PK\x03\x04",
            b"PK\x05\x06" + bytes(18),
            b"\x80\x02.",
            b"\x80\x05N.",
        ),
        *(
            pickle.dumps({"state_dict": {}}),
            pickle.dumps(Foreign(proof)),
            saved(3),
            saved([]),
            saved({}),
        ),
        *(saved(torch.zeros(3)), saved(loaded["state_dict"]), saved({"state_dict": None}), zipped({})),
        *(
            saved(loaded, _use_new_zipfile_serialization=False),
            zipped({"archive/data.pkl": b"\x80\x02."}),
        ),
        *(zipped({"archive/data.pkl": pickle.dumps(Foreign(proof), 2), "archive/version": b"3\n"}),),
        *(whole[: len(whole) * share // 20] for share in range(1, 20)),
        *(whole[:-size] for size in (1, 2, 22, 64, 512)),
    ]
    for value in VALUES:
        picked.append(saved({**loaded, "state_dict": value}))
        picked.append(saved({**loaded, "hyper_parameters": value}))
    for noted in (*NOTED, *VALUES):
        picked.append(saved(with_parameter(loaded, "network", noted)))
    for parameter in ("classes", "normalisation", "dataset", "optimizer", "criterion", "lr"):
        picked += [saved(with_parameter(loaded, parameter, value)) for value in VALUES]
    picked += [saved(each) for each in with_other_tensors(loaded)]
    yield from picked[:number]
    for _ in range(number - len(picked)):
        match draw.randrange(3):
            case 0:
                content = bytearray(whole)
                for _ in range(draw.randint(1, 30)):
                    content[draw.randrange(len(content))] = draw.randrange(256)
                yield bytes(content)
            case 1:
                yield whole[: draw.randrange(len(whole))]
            case _:
                changed = deepcopy(loaded)
                for _ in range(draw.randint(1, 2)):
                    place = draw.choice([changed, changed["hyper_parameters"], changed["state_dict"]])
                    key = draw.choice(list(place))
                    if draw.random() < 0.5:
                        place[key] = draw.choice(VALUES)
                    elif key not in ("hyper_parameters", "state_dict"):
                        del place[key]
                    if not all(
                        isinstance(changed[each], dict) for each in ("hyper_parameters", "state_dict")
                    ):
                        break
                yield saved(changed)


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def with_parameter(loaded: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    return {**loaded, "hyper_parameters": {**loaded["hyper_parameters"], name: value}}


def with_other_tensors(loaded: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The first of the network's weights of another type, shape or place."""
    name = next(each for each in loaded["state_dict"] if each.startswith("network."))
    tensor = loaded["state_dict"][name]
    for other in (
        *(tensor.double(), tensor.half(), tensor.long(), tensor.bool(), tensor.to(torch.complex64)),
        *(
            tensor.to("meta"),
            tensor.to_sparse(),
            tensor[:1],
            tensor.flatten(),
            tensor[None],
            tensor * torch.nan,
        ),
        *(
            torch.zeros(1).expand(tensor.shape),
            torch.zeros(1).expand(10**6, 10**6),
            torch.nn.Parameter(tensor),
        ),
        tensor.to(torch.float8_e4m3fn),
    ):
        yield {**loaded, "state_dict": {**loaded["state_dict"], name: other}}
    yield {**loaded, "state_dict": {**loaded["state_dict"], "network.more": tensor}}
    yield {**loaded, "state_dict": {**loaded["state_dict"], 3: tensor}}


def weights(draw: random.Random, number: int, whole: bytes) -> Iterator[bytes]:
    """Odd safetensors files."""
    (size,) = struct.unpack("<Q", whole[:8])
    header, data = json.loads(whole[8 : 8 + size]), whole[8 + size :]
    name = next(each for each in header if each != "__metadata__")
    about = json.loads(header["__metadata__"]["ansnet"])
    picked = [
        b"",
        b"\0" * 8,
        b"\xff" * 8,
        struct.pack("<Q", 2**62) + whole[8:],
        struct.pack("<Q", 3) + b"{}}",
    ]
    picked += [whole[: len(whole) * share // 20] for share in range(1, 20)] + [
        whole + b"x",
        b"[" * 10_000,
    ]
    changes: tuple[dict[str, Any], ...] = (
        *({"dtype": each} for each in ("F64", "F16", "BF16", "I64", "BOOL", "F8_E4M3", "XX", 3, None)),
        *({"shape": each} for each in ([], [-1], [10**18], [2**62, 4], ["x"], [0], None, [1.5])),
        *({"data_offsets": each} for each in ([0, 10**15], [-1, 4], [4, 0], [0, 0], [], None, [0, 2])),
    )
    for change in changes:
        picked.append(packed({**header, name: {**header[name], **change}}, data))
    for key in about:
        for value in (*ABOUT, None, 0, -1, 1.5, "", "x", [], {}):
            described = json.dumps({**about, key: value})
            picked.append(packed({**header, "__metadata__": {"ansnet": described}}, data))
    for described in ("", "{", "[]", "3", "null", "{}", "NaN", "[" * 5000, "\ud83d", "9" * 5000):
        picked.append(packed({**header, "__metadata__": {"ansnet": described}}, data))
    picked += [packed({**header, "__metadata__": each}, data) for each in ({}, None, 3, {"ansnet": 3})]
    yield from picked[:number]
    for _ in range(number - len(picked)):
        content = bytearray(whole)
        for _ in range(draw.randint(1, 10)):
            content[draw.randrange(min(len(content), 2 * size))] = draw.randrange(256)
        yield bytes(content)


def packed(header: dict[str, Any], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def cases_of_files(kind: str, name: str, contents: Iterator[bytes]) -> Iterator[Case]:
    """Each file given to each command that takes one, in turn."""
    file = f"{{here}}/{name}"
    commands = (
        ("evaluate", (file,)),
        ("predict", ("{here}/picture.png", f"--run={file}")),
        ("export", (file, "--format=torch", "--out={here}/new.pt", "--force")),
        ("train", (*BASE, f"--weights={file}")),
    )
    for turn, content in enumerate(contents):
        command, words = commands[turn % len(commands)]
        yield Case(kind, command, words, {name: content}, (name, "--weights", "--run"))
        if turn % 3 == 0:  # to more than one
            command, words = commands[(turn + 1) % len(commands)]
            yield Case(kind, command, words, {name: content}, (name, "--weights", "--run"))


def records(draw: random.Random, number: int, hparams: bytes, metrics: bytes) -> Iterator[Case]:
    """Records of runs with bytes or values changed, for ``compare`` and ``evaluate``."""
    for turn in range(number):
        told, table = bytearray(hparams), bytearray(metrics)
        changed = told if draw.random() < 0.5 else table
        match draw.randrange(4):
            case 0:
                for _ in range(draw.randint(1, 5)):
                    changed[draw.randrange(len(changed))] = draw.randrange(256)
            case 1:
                del changed[draw.randrange(len(changed)) :]
            case 2:
                lines = bytes(changed).split(b"\n")
                odd = draw.choice(
                    [b"", b"x", b"model: 3", b"seed: x", b"lr: []", b"1,2,3", b"nan" + b",inf" * 9]
                )
                lines[draw.randrange(len(lines))] = odd
                changed[:] = b"\n".join(lines)
            case _:
                place = draw.randrange(len(changed))
                changed[place:place] = draw.choice(
                    [b"1e400", b"\0", b"\xff", b"9" * 400, b"-", b'"', b"&a ", b"["]
                )
        files = {"odd/hparams.yaml": bytes(told), "odd/metrics.csv": bytes(table)}
        if turn % 2:
            words: tuple[str, ...] = ("{here}/odd", "{here}/run", "--out={here}/compare.png")
            yield Case("record", "compare", words, files, ("odd",))
        else:
            yield Case(
                "record", "evaluate", ("{here}/odd/checkpoints/last.ckpt",), files, ("odd", "--d")
            )
