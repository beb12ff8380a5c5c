"""`ansnet.commands.config_file`: options from a YAML file, and what is said of one that is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from ansnet.commands.find_lr import make_parser as make_search_parser
from ansnet.commands.train import main, make_parser
from ansnet.training.described import DESCRIBED


def read(content: str | bytes, folder: Path, *words: str) -> dict[str, object]:
    file = folder / "odd.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return vars(make_parser().parse_args([*words, f"--config={file}"]))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("lr: 1e-3\n", {"lr": 1e-3}),
        ("lr: '0.5'\n", {"lr": 0.5}),
        ("max_time: 1:20:00:00\n", {"max_time": "1:20:00:00"}),
        ("augment: yes\nnesterov: 'off'\n", {"augment": True, "nesterov": False}),
        ("model: '3'\nmirror: null\n", {"model": "3", "mirror": None}),
        ("dataset: shapes10\nflip: none\nseed: 1\n", {"flip": "none", "seed": 1}),
        ("lr: &rate 0.1\nwarmup: *rate\n", {"lr": 0.1, "warmup": 0.1}),
        ("repeat: 3\n", {"repeat": 3}),
        (b"\xef\xbb\xbflr: 0.1\n", {"lr": 0.1}),
        ("lr: 0.1\n".encode("utf-16"), {"lr": 0.1}),
        ("log_dir: žluť\n", {"log_dir": "žluť"}),
        ("", {"lr": None}),
        ("# nothing\n", {"lr": None}),
    ],
)
def test_what_a_file_says(content: str | bytes, expected: dict[str, object], tmp_path: Path) -> None:
    given = read(content, tmp_path)
    assert {name: given[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("model: 3\n", "line 1: model: got 3, a number, expected text"),
        ("\nmirror: 3\n", "line 2: mirror: got 3, a number, expected text"),
        ("model: true\n", "line 1: model: got true, true or false, expected text"),
        ("lr: fast\n", "line 1: lr: got fast, expected a number above 0"),
        ("seed: 1\nlr: .nan\n", "line 2: lr: got .nan, expected a number above 0"),
        ("augment: 3\n", "line 1: augment: got 3, expected true or false"),
        ("optimizer: adagrad\n", "line 1: optimizer: invalid choice: 'adagrad'"),
        ("dataset: 3\n", "line 1: dataset: unknown data set '3'"),
        ("model: [vgg7]\n", "line 1: model: expected one value, and got a list"),
        ("model:\n  name: vgg7\n", "line 1: model: expected one value, and got a map"),
        ("epochs: 3\n", "line 1: epochs is no option; did you mean max_epochs?"),
        ("max-epochs: 3\n", "line 1: max-epochs is no option; did you mean max_epochs?"),
        ("config: a.yaml\n", "line 1: config is no option; "),
        ("xyzzy: 1\n", "line 1: xyzzy is no option; --print-config prints those that are"),
        ("lr: 1\nseed: 1\nlr: 2\n", "line 3: lr is given twice, on line 1 as well"),
        ("lr: !!binary aGk=\n", "line 1: lr: got tag:yaml.org,2002:binary, expected text or a number"),
        ("lr: !!python/name:os.system\n", "line 1: lr: got tag:yaml.org,2002:python/name:os.system"),
        ("[lr]: 1\n", "line 1: expected the name of an option, and got a list"),
        ("- lr\n", 'expected a line an option, as "lr: 0.1", and got a list'),
        ("lr\n", 'expected a line an option, as "lr: 0.1", and got lr'),
        ("lr: [1\n", "line 2: this is no YAML"),
        ("lr:\t\t- 1\n", "line 1: this is no YAML"),
        ("lr: 1\n---\nlr: 2\n", "line 2: this is no YAML"),
        ("lr: *a\n", "line 1: this is no YAML (found undefined alias"),
        ("[" * 5000, "line 1: expected a line an option, and got lists or maps in each other"),
        ("log_dir: é\n".encode("latin-1"), "line 1: this is no UTF-8; save it in UTF-8"),
        ("lr: 0.1\n".encode("utf-32"), "odd.yaml"),
        (b"\x89PNG\r\n\x1a\n", "line 1: this is no UTF-8"),
        ("lr: 0.1\0\n", "this is no YAML"),
        ("x" * 2_000_000, "it has more than 1,048,576 bytes"),
    ],
)
def test_what_is_wrong_is_said_by_line_and_key(
    content: str | bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        read(content, tmp_path)
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert error.startswith(f"python -m ansnet train: error: --config {tmp_path / 'odd.yaml'}")
    assert message in error
    assert error.count("\n") == 1


def test_what_is_no_file_is_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place, message in (
        (tmp_path / "pipe", "this is no file"),
        (tmp_path, "this is a folder"),
        (tmp_path / "none.yaml", "there is no such file"),
        (tmp_path / ("a" * 300), "File name too long"),
    ):
        with pytest.raises(SystemExit):
            make_parser().parse_args(["--config", str(place)])
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_what_is_given_by_hand_comes_before_a_file_wherever_it_stands(tmp_path: Path) -> None:
    assert read("lr: 0.1\nseed: 1\n", tmp_path, "--lr=0.2")["lr"] == 0.2
    (tmp_path / "other.yaml").write_text("lr: 0.3\n")
    assert read("lr: 0.1\nseed: 1\n", tmp_path, f"--config={tmp_path / 'other.yaml'}")["lr"] == 0.1


def test_the_record_of_a_run_is_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model=CR(2), M(16), L(10)", "--dataset=shapes10", "--max-epochs=1", "--limit-batches=1"]
    words += ["--accelerator=cpu", "--seed=3", "--lr=0.01", f"--log-dir={tmp_path}"]
    main([*words, "--pictures-every=0", "--compile=none"])
    (record,) = tmp_path.rglob("hparams.yaml")
    told = yaml.safe_load(record.read_text("utf-8"))
    assert {"ansnet", "commit", "cores"} <= told.keys()
    parser = make_parser()
    options = {action.dest for action in parser._actions}
    assert told.keys() - options == {*DESCRIBED}  # so that none is added without being declared
    capsys.readouterr()
    main([f"--config={record}", "--print-config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert {**told, **printed} == told
    assert make_search_parser().parse_args([f"--config={record}"]).lr == 0.01
