"""``train.py`` and ``python -m ansnet train``: from the command line to the files and the errors."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ansnet.commands.train import main, make_parser
from ansnet.training.interruption import Interrupted
from ansnet.training.machine import complete_by_device
from ansnet.training.settings import Settings

ROOT = Path(__file__).parents[2]
SMALL = "CNR(8), M(4), CR(16), M(4), L(10)"


def run_train(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_from_the_command_line_to_the_files(tmp_path: Path) -> None:
    options = "--dataset shapes10 --max-epochs 1 --batch-size 500 --precision 32-true --model"
    result = run_train(*options.split(), SMALL, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for line in ("before training", "epoch 1/1", "best epoch", "checkpoint", "tensorboard --logdir"):
        assert line in result.stdout
    folder = tmp_path / "lightning_logs" / "notation" / "version_0"
    found = {path.name.split(".")[0] for path in folder.iterdir()}
    assert found == {"metrics", "hparams", "curves", "events", "checkpoints"}
    assert len(list((folder / "checkpoints").iterdir())) == 2
    # nothing but what torch itself may say where torchvision is another build (test_compatibility)
    assert "Warning" not in result.stderr.replace("MissingOperatorsWarning", "")


def test_two_processes_train_one_network(tmp_path: Path) -> None:
    options = "--dataset shapes10 --max-epochs 1 --batch-size 250 --accelerator cpu --devices 2 --model"
    result = run_train(*options.split(), SMALL, cwd=tmp_path, OMP_NUM_THREADS="1")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("epoch 1/1") == result.stdout.count("best epoch") == 1
    assert len(list(tmp_path.rglob("metrics.csv"))) == 1
    assert "It is recommended" not in result.stderr  # Lightning, of how speed and time are put together


ON_CPU = ["--accelerator=cpu", "--precision=32-true"]  # or it might be measured
TINY = ["--model=CR(4),M(16),L(10)", "--dataset=shapes10", "--max-epochs=1", *ON_CPU]


def no_traceback(result: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines on stderr, from the one of the command on."""
    assert "Traceback" not in result.stderr
    lines = result.stderr.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("python train.py: "))
    return lines[start:]


def test_a_loss_that_is_not_finite_is_told_in_a_few_lines(tmp_path: Path) -> None:
    given = ["--optimizer=sgd", "--lr=1e30", "--batch-size=500", "--log-dir=my logs"]
    result = run_train(*TINY, *given, cwd=tmp_path)
    assert result.returncode == 1
    lines = no_traceback(result)
    assert lines[0].startswith(
        "python train.py: stopped: the loss is not finite at step 1 (epoch 1 of 1"
    )
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "images",
        "rate",
        "recorded in",
        "checkpoint",
        "begin again",
    ]
    assert "best epoch" not in result.stdout


def test_a_training_that_diverged_is_called_so_and_is_no_success(tmp_path: Path) -> None:
    given = ["--optimizer=adam", "--lr=1000", "--batch-size=500"]
    result = run_train(*TINY, *given, cwd=tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "diverged     training loss" in result.stdout
    assert list(tmp_path.rglob("last.ckpt"))


# as it is launched: a process whose own part of the batch is fine hears of the other's
SPOILED = """
import sys
from ansnet.commands.train import main
from ansnet.compatibility import lightning
from ansnet.training import build

class Spoiler(lightning.Callback):
    def on_train_batch_start(self, trainer, module, batch, index):
        if trainer.global_rank == 1 and trainer.global_step == {step}:
            batch[0][2] = float("nan")

own = build.changing
build.changing = lambda settings: [*own(settings), Spoiler()]
sys.exit(main(prog="python train.py"))
"""


@pytest.mark.parametrize("accumulated", [1, 8])
def test_of_two_processes_both_stop_if_one_has_no_finite_loss(tmp_path: Path, accumulated: int) -> None:
    script = tmp_path / "spoiled.py"
    step = {1: 3, 8: 0}[accumulated]
    script.write_text(SPOILED.format(step=step))
    options = [*TINY, "--devices=2", "--batch-size=250", f"--accumulate-grad-batches={accumulated}"]
    result = subprocess.run(
        [sys.executable, str(script), *options],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 1, result.stderr
    lines = no_traceback(result)
    assert result.stderr.count("stopped: ") == 1
    assert lines[0].startswith(f"python train.py: stopped: the loss is not finite at step {step} (")
    assert lines[1].startswith("images       1 of 250, by their indices in the training set: ")


@pytest.mark.parametrize(("rank", "times"), [("0", 1), ("1", 0)])
def test_of_several_processes_that_are_told_to_end_one_says_so(
    rank: str, times: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> int:
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setenv("LOCAL_RANK", rank)
    monkeypatch.setattr("ansnet.commands.train.run", run)
    assert main([]) == 143
    assert capsys.readouterr().err.count("ended by SIGTERM") == times


def test_a_repetition_stops_with_the_seed_that_cannot_go_on(tmp_path: Path) -> None:
    given = ["--optimizer=sgd", "--lr=1e30", "--batch-size=500", "--repeat=2", "--seed=7"]
    result = run_train(*TINY, *given, cwd=tmp_path)
    assert result.returncode == 1
    assert no_traceback(result)[-1] == "seed         7"


def test_options_come_from_a_file_and_the_command_line_overrides_it(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("model: vgg7bn\nlr: 0.5\naugment: true\n")
    given = make_parser().parse_args(["--config", str(tmp_path / "recipe.yaml"), "--lr", "0.25"])
    assert (given.model, given.lr, given.augment) == ("vgg7bn", 0.25, True)


def test_what_is_on_or_off() -> None:
    parser = make_parser()
    assert parser.parse_args([]).channels_last is True
    assert parser.parse_args(["--channels-last"]).channels_last is True
    assert parser.parse_args(["--no-channels-last"]).channels_last is False
    assert parser.parse_args(["--augment"]).augment is True
    assert parser.parse_args(["--no-augment"]).augment is False
    assert parser.parse_args([]).augment is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "vgg8"], "unknown model 'vgg8': did you mean vgg7"),
        (["--model", "CR(64), X(2), L(10)"], "position 9 (at 'X(2), L(10)'): unknown layer 'X'"),
        (["--model", "CR(64), L(3)"], "3 outputs, but there are 10 classes"),
        (["--lr", "-1"], "--lr: got -1, expected a number above 0"),
        (["--lr", "fast"], "--lr: got fast, expected a number above 0"),
        (["--batch-size", "0"], "--batch-size: got 0, expected a whole number above 0"),
        (["--max-epochs", "1.5"], "--max-epochs: got 1.5, expected a whole number above 0"),
        (["--weight-decay", "-0.1"], "--weight-decay: got -0.1, expected a number, 0 or above"),
        (["--seed", "x"], "--seed: got x, expected a whole number, 0 or above"),
        (["--optimizer", "adagrad"], "invalid choice: 'adagrad'"),
        (["--warmup", "2"], "--warmup: got 2, expected a number from 0 to 1"),
        (["--cutout", "-8"], "--cutout: got -8, expected a whole number, 0 or above"),
        (["--no-augment", "--flip", "random"], "--flip random has no effect with --no-augment"),
        (["--compile", "all"], "invalid choice: 'all'"),
        (
            ["--optimizer=adam", "--momentum", "0.9"],
            "--momentum 0.9 has no effect with --optimizer adam",
        ),
        (["--epochs", "3"], "unknown flag --epochs; did you mean --max-epochs?"),
        (["--model=vgg7", "--datset", "cifar10"], "unknown flag --datset; did you mean --dataset?"),
        (["--xyzzy"], "unknown flag --xyzzy; see python -m ansnet train --help"),
        (["stray"], "stray"),
        (["--config", "missing.yaml"], "missing.yaml"),
        (["--resume", "missing.ckpt"], "--resume missing.ckpt: there is no such file"),
        (["--resume", "--log-dir", "empty"], "no run in empty has a checkpoint; train one"),
        (["--resume", "version_7"], "there is no run 'version_7', neither as a path nor in"),
        (["--repeat=2", "--resume"], "--repeat 2 cannot go on from --resume last"),
        (["--find-lr", "--lr", "0.1"], "--lr 0.1 has no effect with --find-lr; add --no-find-lr"),
        (["--find-lr", "--devices", "2"], "--find-lr searches on one device"),
        (["--mirror", "somewhere", "--data-dir", "empty"], "expected an address that begins with http"),
        (["--data-dir", "empty", "--mirror", "http://127.0.0.1:9"], "--data-dir"),
    ],
)
def test_wrong_input_is_answered_with_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert message in error
    assert error.startswith("python -m ansnet train: error: ")
    assert error.count("\n") == 1
    assert list(tmp_path.rglob("*.ckpt")) == []


def test_a_configuration_with_an_unknown_key_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text("epochs: 3\n")
    with pytest.raises(SystemExit) as exit_:
        main(["--config", str(tmp_path / "recipe.yaml")])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert "epochs" in error
    assert error.count("\n") == 1


def test_an_option_overrules_a_file_and_what_depends_on_it(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("model: resnet9\naugment: true\ncutout: 8\nflip: random\n")
    parser = make_parser()
    arguments = ["--config", str(file), "--no-augment", "--seed=3"]
    assert parser.options_in(arguments) == {"config", "augment", "seed"}
    settings = Settings.complete(vars(parser.parse_args(arguments)), parser.options_in(arguments))
    assert (settings.augment, settings.cutout, settings.seed) == (False, 8, 3)


def test_a_run_with_numbers_on_the_command_line_is_recorded_and_resumed(tmp_path: Path) -> None:
    options = ["--model=CR(4), M(8), L(10)", "--dataset=shapes10", "--optimizer=muon", "--lr=0.02"]
    options += ["--momentum=0.5", "--weight-decay=0.01", "--warmup=0.1", *ON_CPU]
    first = run_train(*options, "--max-epochs=1", "--batch-size=500", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (last,) = tmp_path.rglob("last.ckpt")
    assert yaml.safe_load((last.parent.parent / "hparams.yaml").read_text())["lr"] == 0.02
    resumed = run_train(
        *options, "--max-epochs=2", "--batch-size=500", f"--resume={last}", cwd=tmp_path
    )
    assert resumed.returncode == 0, resumed.stderr
    assert "last epoch   2" in resumed.stdout


def test_repeated_runs_end_in_a_table(tmp_path: Path) -> None:
    options = [
        "--model=CR(4), M(16), L(10)",
        "--dataset=shapes10",
        "--max-epochs=1",
        "--batch-size=500",
    ]
    result = run_train(*options, "--accelerator=cpu", "--repeat=2", "--seed=4", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^mean +\d+\.\d\d%", result.stdout, re.MULTILINE)
    table = tmp_path / "lightning_logs" / "notation" / "repeat_version_0.csv"
    assert [line.split(",")[0] for line in table.read_text().splitlines()[1:4]] == ["4", "5", "mean"]


def test_an_accelerator_that_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(SystemExit) as exit_:
        main(["--accelerator", "gpu"])
    assert exit_.value.code == 2
    assert "--accelerator gpu: torch" in capsys.readouterr().err


def test_without_data_and_network_there_is_no_stack_trace(tmp_path: Path) -> None:
    result = run_train("--mirror", "http://127.0.0.1:9", cwd=tmp_path, ANSNET_DATA_DIR="nowhere")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    last = result.stderr.splitlines()[-1]
    assert "no CIFAR-10 in nowhere" in last
    assert "--dataset shapes10" in last


def test_help_is_read_without_loading_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['train.py', '--help']; import atexit; "
        "atexit.register(lambda: print('torch' in sys.modules)); "
        "from ansnet.commands.train import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0
    for text in ("--max-epochs", "by default bf16-mixed on CUDA", "by default network on CUDA"):
        assert text in " ".join(result.stdout.split())
    assert result.stdout.endswith("False\n")


def test_what_is_printed_as_a_configuration_gives_the_same_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model=resnet9", "--lr=0.05", "--no-augment", "--accelerator=cpu"]
    main([*words, "--print-config"])
    file = tmp_path / "printed.yaml"
    file.write_text(capsys.readouterr().out)
    printed = Settings.complete(vars(make_parser().parse_args(["--config", str(file)])), asked_for=())
    given = complete_by_device(Settings.complete(vars(make_parser().parse_args(words))))
    assert printed == given
    assert (printed.lr, printed.precision, printed.cutout) == (0.05, "32-true", 0)
    assert not list(tmp_path.glob("lightning_logs"))
