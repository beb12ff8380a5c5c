"""``python -m ansnet compare``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ansnet.commands.compare import letter
from ansnet.commands.main import main
from tests.training.test_comparison import REFERENCE, write_run


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    """Three runs, two of which are one group."""
    for seed, last in enumerate([0.75, 0.5]):
        write_run(tmp_path / f"vgg7/version_{seed}", [0.1, 0.25, last], seed=seed, threads=1 + seed)
    write_run(tmp_path / "vgg7/version_2", [0.1, 0.25], label_smoothing=0.1)
    write_run(tmp_path / "resnet9/version_0", [0.1, 0.5], model="resnet9", optimizer="muon")
    return tmp_path


def test_a_person_reads_figures_and_what_differs(
    log_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = log_dir / "curves.png"
    words = ["vgg7/version_*", "resnet9/version_0", f"--log-dir={log_dir}", f"--out={picture}"]
    assert main(["compare", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    header, first, second, third, *rest = lines
    names = "runs n epochs accuracy, % augmented, % best, % loss training images/s"
    assert " ".join(header.split()) == names
    assert first.split()[:7] == ["A", "vgg7/version_{0,1}", "2", "2", "62.50", "±", "17.68"]
    assert second.split()[:5] == ["B", "vgg7/version_2", "1", "1", "25.00"]
    assert third.split()[:5] == ["C", "resnet9/version_0", "1", "1", "50.00"]
    told = [line.split() for line in rest]
    assert ["label_smoothing", "0", "0.1", "·"] in told
    assert ["model", "vgg7", "·", "resnet9"] in told
    assert ["momentum", "–", "·", "0.9"] in told
    assert ["threads", "1", "/", "2", "–", "–"] in told
    assert any(line.startswith("loss: with label smoothing") for line in rest)
    assert lines[-1] == f"curves: {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_for_programs(log_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = log_dir / "curves.png"
    runs = [str(log_dir / f"vgg7/version_{version}") for version in range(3)]
    again = str(log_dir / "vgg7/version_0/metrics.csv")  # the same run, counted once
    assert main(["compare", *runs, again, f"--out={picture}", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    first, second = told["groups"]
    assert (first["runs"], first["seeds"]) == (runs[:2], [0, 1])
    assert first["figures"]["accuracy"]["mean"] == 0.625
    assert second["figures"]["accuracy"] == {"mean": 0.25, "deviation": None}
    assert second["figures"]["accuracy_tta"] is None
    assert told["settings"] == {"label_smoothing": [[0.0], [0.1]]}
    assert told["machine"] == {"threads": [[1, 2], [None]]}
    assert Path(told["picture"]).is_file()


def test_two_seeds_differ_in_nothing(log_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["version_1", "vgg7/version_0", f"--log-dir={log_dir}", f"--out={log_dir / 'a.png'}"]
    assert main(["compare", *words]) == 0
    assert "no setting differs, but for the seed" in capsys.readouterr().out


def test_recorded_runs_without_checkpoints_and_without_torch(tmp_path: Path) -> None:
    words = ["vgg7bn/seed_[01]", "vgg7_notebook", f"--log-dir={REFERENCE}", f"--out={tmp_path}/a.png"]
    code = (
        "import sys; from ansnet.commands.main import main; "
        f"main({['compare', *words]!r}); print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "90.34 ± 0.08" in result.stdout
    assert "77.79" in result.stdout
    assert result.stdout.endswith("False\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["version_1"], "there is one run to compare, "),
        (["version_1", "vgg7/version_1"], "there is one run to compare, "),
        (["version_1", "version_9"], "there is no run 'version_9', neither as a path nor in "),
        (["version_0", "version_1"], "there are 2 runs 'version_0': "),
        (["vgg8/*", "version_1"], "is named like 'vgg8/*'; name another --log-dir"),
        (["vgg7", "version_1"], "vgg7 holds no metrics.csv, which a run leaves; it holds 3 runs, name"),
        (["empty", "version_1"], "empty holds no metrics.csv, which a run leaves; name a run's folder"),
        (["damaged", "version_1"], "hparams.yaml: it is damaged"),
        (["version_1", "version_2", "--out=a.jpg"], "the picture is a PNG"),
        (["version_1", "version_2", "--out=nowhere/a.png"], "the folder nowhere does not exist"),
        (["version_1", "version_2", "--out=damaged/hparams.yaml/a.png"], "hparams.yaml is a file"),
        (["version_1", "version_2", "--out=folder.png"], "this is a folder; name a file in it"),
        (["version_1", "version_2", f"--out={'a' * 300}.png"], "the name is too long; name a shorter"),
        pytest.param(
            ["version_1", "version_2", "--out=/sys/a.png"],
            "it cannot be written",
            marks=pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs Linux's /sys"),
        ),
        ([], "the following arguments are required: runs"),
    ],
)
def test_wrong_input_is_one_line(
    log_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(log_dir)
    Path("empty").mkdir()
    Path("folder.png").mkdir()
    (write_run(Path("damaged"), [0.1, 0.5]) / "hparams.yaml").write_text("a: [")
    with pytest.raises(SystemExit) as exit_:
        main(["compare", "--log-dir=.", *words])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [path.name for path in log_dir.rglob("*.png")] == ["folder.png"]


def test_last_is_the_run_that_was_recorded_last(
    log_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = log_dir / "vgg7/version_2/metrics.csv"
    write_run(log_dir / "vgg7/version_3", [0.1, 0.5])
    table.touch()
    words = ["vgg7/version_0", "last", f"--log-dir={log_dir}", f"--out={log_dir / 'a.png'}", "--json"]
    assert main(["compare", *words]) == 0
    _, last = json.loads(capsys.readouterr().out)["groups"]
    assert last["runs"] == [str(table.parent)]


def test_letters() -> None:
    assert [letter(number) for number in (0, 25, 26, 53)] == ["A", "Z", "A1", "B2"]
