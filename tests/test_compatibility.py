"""`ansnet.compatibility`: beside a torchvision whose compiled operators cannot be loaded."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def without_operators(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed torchvision, less its compiled libraries."""
    package = importlib.util.find_spec("torchvision")
    assert package is not None
    assert package.origin is not None
    folder = tmp_path_factory.mktemp("site-packages")
    compiled = shutil.ignore_patterns("*.so", "*.so.*", "*.dylib", "*.pyd", "*.dll")
    shutil.copytree(Path(package.origin).parent, folder / "torchvision", ignore=compiled)
    return folder


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); {code}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_such_a_torchvision_cannot_be_imported_as_it_is(without_operators: Path) -> None:
    result = run(without_operators, "import torchvision")
    assert result.returncode != 0
    assert "torchvision::nms does not exist" in result.stderr


@pytest.mark.parametrize(
    "module", ["data", "training.classifier", "training.callbacks", "training.run", "compatibility"]
)
def test_with_ansnet_it_can_and_the_user_is_told(without_operators: Path, module: str) -> None:
    result = run(
        without_operators,
        f"import ansnet.{module}, torchvision; print(torchvision.__file__)",
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(str(without_operators))
    assert "MissingOperatorsWarning" in result.stderr
    assert "compiled for another build of torch" in result.stderr


def test_functions_layers_and_models_need_no_torchvision() -> None:
    code = (
        "sys.modules.update(torchvision=None, lightning=None); import ansnet.models; "
        "print(ansnet.models.create_model('vgg7').out_features)"
    )
    result = run(Path("unused"), code)
    assert result.stdout == "10\n", result.stderr
