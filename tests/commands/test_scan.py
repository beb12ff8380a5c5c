"""``python -m ansnet scan``: what it finds in a package, tries, and writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ansnet.commands.scan import main

ROOT = Path(__file__).parents[2]
FILES = {
    "__init__.py": "",
    "good.py": """
import torch


class Square(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x**2

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad_z):
        (x,) = ctx.saved_tensors
        return 2 * grad_z * x


def make(factor):
    class Inner(Square):
        pass

    return Inner
""",
    "poor.py": """
import os
import signal
import time

import torch
from torch.autograd import Function

print("as it is imported")


class Half(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, grad_z):
        (x,) = ctx.saved_tensors
        return grad_z * x


class Kills(Function):
    @staticmethod
    def forward(ctx, x):
        os.kill(os.getpid(), signal.SIGKILL)


class Stays(Function):
    @staticmethod
    def forward(ctx, x):
        time.sleep(60)


class Asks(Function):
    @staticmethod
    def forward(ctx, x, spans):
        raise RuntimeError('it needs "spans"')


class Half2(Function):
    forward = Half.forward
    backward = Half.backward
""",
    "dies.py": """
import os
import torch


class Unborn(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x


os._exit(3)
""",
    "needs.py": """
import torch
import nothing_there


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x
""",
    "last.py": """
from nothing_here.good import Square
""".replace("nothing_here", "scanned_package")
    + """


class Last(Square):
    pass


Made = type("Made", (Square,), {})
""",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a package."""
    for name, text in FILES.items():
        (tmp_path / "scanned_package").mkdir(exist_ok=True)
        (tmp_path / "scanned_package" / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


QUICK = ["--only", "gradcheck,inputs unchanged", "--timeout", "3"]


def test_a_package_in_one_command(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Found, tried, checked, and a test file written, which is in order and runs at once."""
    words = [
        "scanned_package",
        *QUICK,
        "--write",
        "test_them.py",
        "--json",
        "a.json",
        "--junit",
        "a.xml",
    ]
    assert main(words) == 1
    shown = " ".join(capfd.readouterr().out.split())
    for told in (
        "scanned_package: 10 Functions in 5 files",
        "good.py:5 Square(x) setup_context tried on (f64[3, 4]); (f64[2, 3, 4, 4]) 2 passed, 0 failed,",
        "Inner(x) setup_context not tried: it is written within make()",
        "poor.py:12 Half(x) ctx in forward tried on (f64[3, 4]); (f64[2, 3, 4, 4]) 1 passed, 1 failed,",
        "1 failed, 0 not applicable wrong numbers: ",
        "Kills(x) ctx in forward not tried: the process died of SIGKILL",
        "Stays(x) ctx in forward not tried: no sample was found: not done after 3 s",
        "Asks(x, spans) ctx in forward not tried: on f64[3, 4], f64[3, 4]: RuntimeError: it",
        "Unborn(x) ctx in forward not tried: the process ended with exit code 3 as scanned_pack",
        "needs.py:6 Square(x) ctx in forward not tried: scanned_package.needs cannot be imported",
        "Last(x) setup_context tried on",
        "Half2(…) ctx in forward tried on",
        "Made(x) setup_context, made at import tried on",
        "5 of 11 Functions could be tried, 2 fail",
        "written: test_them.py",
    ):
        assert told in shown
    assert "as it is imported" not in shown
    found = json.loads((here / "a.json").read_text())["functions"]
    assert [each["name"] for each in found][:4] == ["Unborn", "Square", "Inner", "Last"]
    assert found[1]["samples"] == ["f64[3, 4]", "f64[2, 3, 4, 4]"]
    assert found[1]["check"]["passed"] is True
    assert found[2]["not_tried"].startswith("it is written within make()")
    suites = ElementTree.parse(here / "a.xml").getroot()
    assert (suites.attrib["tests"], suites.attrib["failures"]) == ("10", "2")
    assert_it_is_in_order(here)
    assert_it_runs(here)


def assert_it_is_in_order(here: Path) -> None:
    ruff = shutil.which("ruff") or shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is None:  # an extra of its own
        return
    for options in (["check", "--isolated"], ["check", "--config", str(ROOT / "ruff.toml")]):
        done = subprocess.run(
            [ruff, *options, "test_them.py"], capture_output=True, text=True, check=False, cwd=here
        )
        assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        [ruff, "format", "--isolated", "--diff", "test_them.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=here,
    )
    assert done.returncode == 0, done.stdout


def assert_it_runs(here: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rs",
            "-p",
            "no:cacheprovider",
            "test_them.py",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        cwd=here,
    )
    assert "2 failed, 8 passed, 6 skipped" in done.stdout, done.stdout
    assert "TODO: the process died of SIGKILL" in done.stdout
    assert "test_half[gradcheck]" in done.stdout


def test_without_trying_nothing_is_imported(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["scanned_package", "--no-try"]) == 0
    assert capfd.readouterr().out.endswith("\n10 Functions, none tried\n")


def test_without_checking_samples_are_found(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["scanned_package/good.py", "--no-check"]) == 0
    shown = capfd.readouterr().out
    assert "tried on (f64[3, 4])" in shown
    assert "passed" not in shown
    assert "1 of 2 Functions could be tried\n" in shown


def test_nothing_is_overwritten(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "test_it.py").write_text("mine")
    words = ["scanned_package/good.py", "--no-try", "--write", "test_it.py"]
    with pytest.raises(SystemExit) as raised:
        main(words)
    assert raised.value.code == 2
    assert "--write test_it.py: there is a file; name another, or overwrite it by --force" in (
        capfd.readouterr().err
    )
    assert (here / "test_it.py").read_text() == "mine"
    assert main([*words, "--force"]) == 0
    assert "def test_square" in (here / "test_it.py").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "there is no package, folder or file 'nowhere'"),
        (["scanned_package", "--write", "tests"], "name one that ends in .py"),
        (["scanned_package", "--write", "tests/a.py"], "the folder tests does not exist"),
        (["scanned_package", "--timeout", "-1"], "expected a number above 0"),
        (["scanned_package", "--only", "gradchek"], "did you mean gradcheck?"),
        (["scanned_package", "--backend", "x"], "torch.compile knows"),
        (["scaned_package"], "file 'scaned_package'; did you mean scanned_package?"),
        (["scanned_package/god.py"], "did you mean scanned_package/good.py?"),
        (["scanned_package", "--only", "forward"], "forward cannot be without a reference, which a"),
        ([], "the following arguments are required: PACKAGE"),
    ],
)
def test_wrong_input_is_answered_in_one_line(
    words: list[str], told: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(words)
    assert raised.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert told in line


@pytest.mark.parametrize("folder", ["", "src"])
def test_it_says_if_what_it_has_written_cannot_be_run_yet(
    folder: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    place = here / folder / "found_package"
    place.mkdir(parents=True)
    (place / "__init__.py").write_text(FILES["good.py"])
    assert main([str(place), "--no-try", "--write", "test_it.py"]) == 0
    told = "before that let Python find found_package, as by: pip install -e .\n"
    assert capfd.readouterr().out.endswith(told) == bool(folder)


def test_a_package_without_any(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "empty.py").write_text("x = 3\n")
    assert main(["empty.py"]) == 0
    assert capfd.readouterr().out == "empty: no Functions in no files\nthere is nothing to try\n"
