"""``python -m ansnet check``: what it takes, what it writes, what it answers to wrong input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ansnet.commands.check import main

ROOT = Path(__file__).parents[2]

# a name that no other test imports, since a module is imported once
OPS = """
import torch
from torch import nn

from ansnet.testing import Sample


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(x, factor, shift=0.0):
        return x * factor + shift

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx, grad_z):
        return grad_z * ctx.factor, None, None


class Forgets(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, grad_z):
        (x,) = ctx.saved_tensors
        return grad_z * x


class Layer(nn.Module):
    def __init__(self, inputs, outputs=2, bias=True):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias)

    def forward(self, x):
        return self.linear(x)


class Other:
    pass


def square(x):
    return x**2


def loud(x):
    print("loud")
    return x**2


def rounds(x):
    return x + (x.round() - x).detach()


def three(x):
    return 3


def raises(x):
    raise RuntimeError("as it is")


def identity(x):
    return x


layer = Layer(3)
number = 3
no_samples = 7
raises_samples = rounds_samples = three_samples = ['f64[3]']
Layer_samples = ['f64[3, 4]']
forgets_samples = ["f64[3]", (torch.ones(2, dtype=torch.float64, requires_grad=True),)]


def square_samples():
    return [Sample(torch.ones(2, dtype=torch.float64, requires_grad=True))]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of Functions, which is the current one."""
    (tmp_path / "ops_to_check.py").write_text(OPS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


LINE = ["--sample", "f64[3, 4], 2.0"]


@pytest.mark.parametrize(
    ("words", "code", "shown"),
    [
        (
            ["ops_to_check:Scale", *LINE, "--only", "gradcheck,inputs-unchanged"],
            0,
            "2 passed, 0 failed",
        ),
        (
            ["ops_to_check.py:Scale", *LINE, "--only", "gradcheck"],
            0,
            "its apply is checked\nScale.apply\n",
        ),
        (
            ["ops_to_check:Scale.apply", *LINE, "--only", "gradcheck"],
            0,
            "Scale.apply\n  gradcheck  pass",
        ),
        (
            ["ops_to_check:Scale", "--sample", "f64[3], shift=1.0, factor=2.0", "--only", "gradcheck"],
            0,
            "",
        ),
        (["ops_to_check:Forgets", "--only", "gradcheck"], 1, "gradcheck  FAIL   wrong numbers: "),
        (
            [
                "ops_to_check:Forgets",
                "--only",
                "gradcheck",
                "--expected-failure",
                "gradcheck=half of it",
            ],
            0,
            "gradcheck  xfail  half of it: sample 0",
        ),
        (
            [
                "ops_to_check:square",
                "--only",
                "gradcheck",
                "--expected-failure",
                "gradcheck=half of it",
            ],
            1,
            "expected to fail (half of it), but it passes",
        ),
        (
            ["ops_to_check:Forgets", "--only", "Gradcheck", "--not-applicable", "gradcheck=not here"],
            0,
            "gradcheck  n/a    not here",
        ),
        (
            ["ops_to_check:raises", "--reference", "ops_to_check:raises", "--only", "forward"],
            1,
            "does not pass: forward could not be tried; do the samples fit the reference?\n",
        ),
        (
            [
                "ops_to_check.py:Forgets",
                "--reference",
                "ops_to_check:square",
                "--only",
                "forward,gradients",
            ],
            1,
            "gradients  FAIL",
        ),
        (
            [
                "ops_to_check:rounds",
                "--sample",
                "f64[3]",
                "--derivative",
                "ops_to_check:identity",
                "--only",
                "gradients",
            ],
            0,
            "gradients  pass",
        ),
        (
            [
                "ops_to_check:Layer",
                "--arguments",
                "4, bias=False",
                *LINE[:1],
                "f64[3, 4]",
                "--only",
                "gradcheck",
            ],
            0,
            "Layer(4, bias=False) is checked",
        ),
        (
            ["ops_to_check:Scale", *LINE, "--only", "dtypes", "--dtypes", "f32,bfloat16"],
            0,
            "dtypes  pass",
        ),
        (["ops_to_check:layer", "--sample", "f64[2, 3]", "--only", "gradcheck"], 0, "gradcheck  pass"),
        (["ops_to_check:square", "--only", "deterministic", "--timeout", "1e-9"], 1, "not done after"),
        (
            ["ops_to_check:square", "--only", "deterministic", "--timeout", "1e-4"],
            1,
            "mend   --timeout 0.0002  # or smaller samples\n",
        ),
        (
            ["ops_to_check:raises", "--only", "gradcheck"],
            1,
            "mend   # a call alone raises it: if the function is right, give a sample that fits it\n",
        ),
        (
            ["ops_to_check:three", "--only", "gradcheck"],
            2,
            "returned 3, in which",
        ),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else "",
)
def test_what_it_takes(
    words: list[str], code: int, shown: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if code == 2:
        with pytest.raises(SystemExit) as raised:
            main(words)
        assert raised.value.code == 2
    else:
        assert main(words) == code
    captured = capfd.readouterr()
    assert shown in captured.out + captured.err


def test_samples_of_a_file(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["ops_to_check:square", "--only", "gradcheck"]
    (here / "one.py").write_text("cases_samples = ['f64[3]', 'f64[2, 2]']")
    (here / "two.py").write_text("a_samples = []\nb_samples = ['f64[3]']")
    assert main([*words, "--samples", "one.py"]) == 0
    assert main([*words, "--samples", "two.py:b_samples"]) == 0
    assert main([*words, "--samples", str(here / "two.py:b_samples")]) == 0
    for place, told in (
        ("two.py", "expected square_samples or samples in it, but there are a_samples, b_samples"),
        ("two.py:a_samples", "no samples were given"),
        ("none.py", "there is no file 'none.py'"),
        ("ops_to_check:no_samples", "is 7, expected a list of samples"),
    ):
        with pytest.raises(SystemExit):
            main([*words, "--samples", place])
        assert told in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["ops_to_check.square"],
            "expected package.module:name or path/to/file.py:name; did you mean ops_to_",
        ),
        (["ops_to_check:"], "expected package.module:name"),
        (
            ["ops_to_check:squar"],
            "module 'ops_to_check' has no 'squar' (from 'ops_to_check:squar'); did you",
        ),
        (["nowhere.py:square"], "there is no file 'nowhere.py'"),
        (["nowhere:square"], "there is no module 'nowhere'"),
        (["ops_to_chek:square"], "(from 'ops_to_chek'); did you mean ops_to_check?"),
        (["ops_to_chek.py:square"], "no file 'ops_to_chek.py'; did you mean ops_to_check.py?"),
        (["torch.nn.functionl:silu"], "(from 'torch.nn.functionl'); did you mean torch.nn.functional?"),
        (["ops_to_check:Other", *LINE], "Other is a class, expected a function"),
        (["ops_to_check:number", *LINE], "number is 3, which cannot be called"),
        (["ops_to_check:Layer"], "Layer() cannot be made (TypeError: "),
        (
            ["ops_to_check:Layer", *LINE, "--arguments", "[3"],
            "--arguments: '[3', character 3, at its end",
        ),
        (["ops_to_check:square", "--arguments", "3"], "--arguments are for the class of a module"),
        (
            ["ops_to_check:Scale"],
            "samples to try Scale(x, factor, shift=0.0) on: give the arguments by --sam",
        ),
        (["ops_to_check:Scale"], '--sample "f64[3, 4], f64[3, 4]"'),
        (
            ["ops_to_check:Scale", "--sample", "f64[3]"],
            "does not fit Scale(x, factor, shift=0.0): missing a",
        ),
        (
            ["ops_to_check:Scale", "--sample", "f64[3], 2, by=3"],
            "Scale(x, factor, shift=0.0): got an unex",
        ),
        (
            ["ops_to_check:Scale", "--sample", "f64[3"],
            "--sample 'f64[3', character 6, at its end: expected",
        ),
        (["ops_to_check:Scale", "--sample", "i64[3], 2"], "no tensor of the samples requires grad"),
        (["ops_to_check:Scale", *LINE, "--only", "gradchek"], "'gradchek'; did you mean gradcheck?"),
        (["ops_to_check:Scale", *LINE, "--only", ","], "--only: it names no capability"),
        (
            ["ops_to_check:Scale", *LINE, "--not-applicable", "vmap"],
            "got 'vmap', expected CAPABILITY=REASON",
        ),
        (
            ["ops_to_check:Scale", *LINE, "--expected-failure", "x=y"],
            "--expected-failure: unknown capability",
        ),
        (
            ["ops_to_check:Scale", *LINE, "--timeout", "0"],
            "--timeout: got '0', expected a number above 0",
        ),
        (["ops_to_check:Scale", *LINE, "--timeout", "1e9"], "--timeout: got '1e9', expected 1000000"),
        (["ops_to_check:Scale", *LINE, "--seed", f"{2**63}"], "expected a whole number below 2**63"),
        (["ops_to_check:Scale", *LINE, "--seed", "1" * 5000], "expected a whole number below 2**63"),
        (["ops_to_check:Scale", *LINE, "--only", "forward"], "give it by --reference, or choose other"),
        (["ops_to_check:Scale", *LINE, "--dtypes", ","], "error: --dtypes is empty: name those"),
        (["ops_to_check:Scale", *LINE, "--devices", "meta"], "error: --devices='meta' holds no number"),
        (["ops_to_check:Scale", *LINE, "--backend", "aot_eagr"], "; did you mean aot_eager?"),
        (["ops_to_check:Scale", *LINE, "--atol", "-1"], "--atol: "),
        (["ops_to_check:Scale", *LINE, "--seed", "1.5"], "--seed: got '1.5', expected a whole number"),
        (["ops_to_check:Scale", *LINE, "--backend", "x"], "--backend x: torch.compile knows"),
        (
            ["ops_to_check:Scale", *LINE, "--dtypes", "f33"],
            "--dtypes: there is no dtype 'f33'; did you mean",
        ),
        (["ops_to_check:Scale", *LINE, "--devices", "qpu"], "qpu"),
        (["ops_to_check:Scale", *LINE, "--json", "a/b.json"], "the folder a does not exist"),
        (["ops_to_check:Scale", *LINE, "--junit", "."], "--junit ."),
        (["ops_to_check:Scale", *LINE, "--json", "-", "--junit", "-"], "would mix"),
        (
            ["ops_to_check:Scale", *LINE, "--jnit", "a"],
            "unknown argument --jnit; did you mean --junit?",
        ),
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


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "the process died of SIGKILL"),
        (
            "import os; os._exit(0)",
            "the process ended with exit code 0 while ends_it:square was imported",
        ),
        ("raise SystemExit(3)", "ends the program as it is imported (exit code 3)"),
        ("import nothing_there", "there is no module 'nothing_there' (from 'ends_it'"),
        ("x = 1 / 0", "'ends_it' cannot be imported: ZeroDivisionError: division by zero ("),
        ("def square(x:\n", "'ends_it' cannot be imported: SyntaxError: "),
    ],
    ids=["dies", "leaves", "exits", "needs another", "raises", "is wrong"],
)
def test_a_module_that_cannot_be_imported_is_one_line(
    source: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "ends_it.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as raised:
        main(["ends_it:square", "--sample", "f64[3]"])
    assert raised.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert told in line


def test_json(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = ["ops_to_check:loud", "--sample", "f64[3]", "--only", "forward,gradcheck"]
    assert main([*words, "--json", "-"]) == 0
    captured = capfd.readouterr()
    found = json.loads(captured.out)
    assert found["function"] == "ops_to_check:loud"
    assert found["passed"] is True
    assert found["counts"] == {"pass": 1, "fail": 0, "not_applicable": 1, "expected_failure": 0}
    forward, gradcheck = found["rows"]
    assert forward["result"] == "not_applicable"
    assert forward["detail"] == "no reference was given"
    assert gradcheck["result"] == "pass"
    assert gradcheck["seconds"] > 0
    assert main(["ops_to_check:Forgets", "--only", "gradcheck", "--json", "a.json"]) == 1
    assert "gradcheck  FAIL   wrong numbers: " in capfd.readouterr().out
    found = json.loads((here / "a.json").read_text())
    assert found["passed"] is False
    (cause,) = found["causes"]
    assert (cause["severity"], cause["capabilities"]) == ("wrong numbers", ["gradcheck"])
    assert cause["cause"]


def test_junit(here: Path) -> None:
    only = ["--only", "forward,gradients,gradcheck,vmap,deterministic,checkpoint"]
    reasons = [
        "--expected-failure",
        "vmap=it has no <setup_context>",
        "--not-applicable",
        "forward=\x01",
    ]
    assert main(["ops_to_check:Forgets", *only, *reasons, "--junit", "a.xml"]) == 1
    suites = ElementTree.parse(here / "a.xml").getroot()
    (suite,) = suites
    assert (suites.tag, suite.tag) == ("testsuites", "testsuite")
    for each in (suites, suite):
        counts = {name: each.attrib[name] for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {"tests": "6", "failures": "1", "errors": "0", "skipped": "3"}
        assert float(each.attrib["time"]) > 0
    cases = {case.attrib["name"]: case for case in suite}
    assert list(cases) == ["forward", "gradients", "gradcheck", "vmap", "deterministic", "checkpoint"]
    assert all(case.attrib["classname"] == "ops_to_check:Forgets" for case in cases.values())
    assert sum(float(case.attrib["time"]) for case in cases.values()) == pytest.approx(
        float(suite.attrib["time"]), abs=0.01
    )
    (failure,) = cases["gradcheck"]
    assert failure.tag == "failure"
    assert "sample 0" in failure.attrib["message"]
    assert "wrong numbers: " in (failure.text or "")
    (skipped,) = cases["vmap"]
    assert skipped.attrib["message"].startswith("expected to fail: it has no <setup_context>: ")
    assert cases["forward"][0].attrib["message"] == "�"
    assert len(cases["deterministic"]) == 0


def test_what_is_essential_and_untried_is_a_failure_of_the_test_suite(here: Path) -> None:
    words = ["ops_to_check:raises", "--reference", "ops_to_check:raises", "--only", "forward"]
    assert main([*words, "--junit", "a.xml"]) == 1
    (suite,) = ElementTree.parse(here / "a.xml").getroot()
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("1", "0")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.attrib["type"] == "untried"
    assert "could not be tried: sample 0" in failure.attrib["message"]


def test_it_starts_with_torch_alone(here: Path) -> None:
    code = (
        "import sys; [sys.modules.__setitem__(name, None) for name in "
        "('torchvision', 'lightning', 'matplotlib', 'jsonargparse', 'tqdm', 'PIL', 'yaml')]; "
        "from ansnet.commands.main import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["check", "ops_to_check:Scale", *LINE, "--only", "gradcheck"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert re.search(r"gradcheck  pass\n1 passed", done.stdout)
    assert done.returncode == 0


def test_rows_are_there_as_they_come(here: Path) -> None:
    (here / "slow.py").write_text(
        "import time\nslow_samples = ['f64[1]']\n\n\ndef slow(x):\n"
        "    time.sleep(0.01)\n    return x**2\n"
    )
    command = [sys.executable, "-m", "ansnet", "check", "slow:slow", "--backend", "eager"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().split()[0] for _ in range(3)]
        assert lines == ["slow", "forward", "gradients"]
        assert process.poll() is None
        process.terminate()


def test_a_package_in_src_is_found_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "src" / "lying_in_src").mkdir(parents=True)
    (tmp_path / "src" / "lying_in_src" / "ops.py").write_text("def f(x): return x\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as raised:
        main(["lying_in_src.ops:f", "--sample", "f64[2]"])
    assert raised.value.code == 2
    told = "; it is in src/: install it by pip install -e ., or name the file: src/lying_in_src/ops.py"
    assert told in capfd.readouterr().err
