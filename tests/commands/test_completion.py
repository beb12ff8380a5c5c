"""What bash offers for ``python -m ansnet …`` and ``python train.py …``, asked as a user's shell is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ansnet.commands.main import COMMANDS
from ansnet.training.formats import FORMATS
from tests.training.test_comparison import write_run

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash"),
    pytest.mark.skipif(find_spec("argcomplete") is None, reason='needs the extra "completion"'),
]

# as bash does when the tab key is pressed: the line, the words in it, and where the cursor is
PRESS_TAB = """
eval "$(python -m argcomplete.scripts.activate_global_python_argcomplete --dest=-)"
COMP_LINE="$1"
COMP_POINT=${#COMP_LINE}
read -ra COMP_WORDS <<< "$COMP_LINE"
[[ "$COMP_LINE" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_python_argcomplete_global "${COMP_WORDS[0]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """Where two runs are recorded, and some files lie."""
    for run in ("vgg7/version_0", "resnet9/version_1"):
        write_run(tmp_path / "lightning_logs" / run, [0.1, 0.5])
    for name in ("recipe.yaml", "mine.ckpt"):
        (tmp_path / name).touch()
    return tmp_path


def offered(line: str, there: Path) -> list[str]:
    """What bash offers behind the line."""
    binaries = there / "bin"
    binaries.mkdir(exist_ok=True)
    python = binaries / "python"
    python.unlink(missing_ok=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    result = subprocess.run(
        ["bash", "--norc", "-c", PRESS_TAB, "bash", line],
        cwd=there,
        env={**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    return [word.strip() for word in result.stdout.split("\n") if word.strip()]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python -m ansnet ", [*COMMANDS]),
        ("python -m ansnet ev", ["evaluate"]),
        ("python -m ansnet export --fo", ["--format", "--force"]),
        ("python -m ansnet export last --format ", [*FORMATS]),
        ("python -m ansnet export last --format=o", ["onnx"]),
        ("python -m ansnet evaluate l", ["last", "lightning_logs/"]),
        ("python -m ansnet compare vgg7/version_0 resnet9/", ["resnet9/version_1"]),
        ("python -m ansnet evaluate m", ["mine.ckpt"]),
        ("python -m ansnet find-lr --dataset cifar", ["cifar10", "cifar100"]),
        ("python -m ansnet train --model vgg7b", ["vgg7bn"]),
        ("python -m ansnet train --config r", ["recipe.yaml"]),
        ("python -m ansnet check --expected", ["--expected-failure"]),
        ("python -m ansnet check a:b --only gradc", ["gradcheck"]),
        ("python -m ansnet scan a --wr", ["--write"]),
        ("python -m ansnet models v", ["vgg7", "vgg7bn"]),
        (f"python {ROOT / 'train.py'} --no-chan", ["--no-channels-last"]),
    ],
)
def test_what_bash_offers(there: Path, line: str, words: list[str]) -> None:
    assert offered(line, there) == words


def test_nothing_of_it_is_loaded_where_no_shell_asks() -> None:
    code = "import sys; from ansnet.commands.main import main; main(['--help']); print(*sys.modules)"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = result.stdout.splitlines()[-1].split()
    assert not {"argcomplete", "jsonargparse", "torch"}.intersection(loaded)


def test_without_argcomplete_the_command_is_carried_out() -> None:
    code = (
        "import sys; sys.modules['argcomplete'] = None; "
        "from ansnet.commands.main import main; sys.exit(main(['--help']))"
    )
    variables = {"_ARGCOMPLETE": "1", "COMP_LINE": "ansnet ", "COMP_POINT": "7"}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert result.returncode == 0
    assert "usage: python -m ansnet COMMAND" in result.stdout
