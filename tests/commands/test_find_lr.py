"""``python -m ansnet find-lr``: the rate that ``train --find-lr`` would take, and nothing else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansnet.commands.main import main
from ansnet.commands.train import make_parser
from ansnet.training import find_lr, run
from ansnet.training.run import find_learning_rate
from ansnet.training.settings import Settings
from tests.training.small import few_shapes

pytestmark = pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*:FutureWarning")

OPTIONS = [
    "--model=CNR(8), M(4), CNR(16), M(4), L(10)",
    "--dataset=shapes10",
    "--batch-size=100",
    "--optimizer=muon",
    "--accelerator=cpu",
]


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    with few_shapes(400, 50) as patch:
        patch.setattr(find_lr, "STEPS", 60)
        patch.setattr(run, "STEPS", 60)
        yield


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_finds_the_trainings_rate_and_leaves_a_picture(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["find-lr", *OPTIONS, "--json", "--out", "rates.png"]) == 0
    found = json.loads(capsys.readouterr().out)
    given = make_parser().parse_args([*OPTIONS, "--precision=32-true", "--compile=none"])
    search = find_learning_rate(Settings.complete({**vars(given), "find_lr": True}))
    assert found["lr"] == search.rate
    assert found["losses"] == search.losses
    assert [path.name for path in there.rglob("*")] == ["rates.png"]
    assert Path("rates.png").read_bytes().startswith(b"\x89PNG")
    words = shlex.split(found["train"])
    assert words == ["python", "-m", "ansnet", "train", *OPTIONS, "--lr", f"{search.rate:g}"]
    assert make_parser().parse_args(words[4:]).lr == search.rate


def test_a_person_reads_the_rate_and_the_next_command(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # a file of settings may name a rate, which is not taken
    Path("recipe.yaml").write_text("lr: 0.5\nschedule: linear\n")
    assert main(["find-lr", *OPTIONS, "--config=recipe.yaml", "--out=a.png"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("learning rate ")
    assert first.endswith(", where the loss fell most steeply: a.png")
    rate = first.split()[2].rstrip(",")
    assert second.startswith("python -m ansnet train '--model=CNR(8), M(4)")
    assert second.endswith(f" --config=recipe.yaml --lr {rate}")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lr=0.1"], "--lr 0.1: the learning rate is what is searched for; leave it out"),
        (["--lr=-1"], "--lr: got -1, expected a number above 0"),
        (["--resume=a.ckpt"], "unknown flag --resume"),
        (["--repeat=3"], "unknown flag --repeat"),
        (["--devices=2"], "--find-lr searches on one device"),
        (["--model=vgg8"], "unknown model 'vgg8'"),
        (["--model=X(8), L(10)"], "unknown layer 'X'"),
        (["--optimizer=adam", "--momentum=0.5"], "--momentum 0.5 has no effect with --optimizer adam"),
        (["--accelerator=cuda"], "--accelerator cuda: torch "),
        (["--dataset=cifar10", "--data-dir=empty", "--mirror=file:///nowhere"], "file:///nowhere"),
        (["--weight-decay=1e9"], "--find-lr finds no rate"),
        (["--out=a.jpg"], "the picture is a PNG"),
        (["--out=nowhere/a.png"], "the folder nowhere does not exist"),
        (["--out=file/a.png"], "the folder file is a file"),
        (["--out=folder.png"], "this is a folder"),
    ],
)
def test_wrong_input_is_one_line(
    there: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    Path("file").touch()
    Path("folder.png").mkdir()
    Path("empty").mkdir()
    with pytest.raises(SystemExit) as exit_:
        main(["find-lr", *OPTIONS, *words])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not [path for path in there.rglob("*.png") if path.is_file()]
