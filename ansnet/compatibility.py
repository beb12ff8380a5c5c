"""Lightning, torchmetrics and torchvision, imported so that they work beside any torch.

The torchvision of the package registry is compiled for that registry's CUDA build of torch. Beside
another build of the same version, such as a CPU-only one, its compiled operators cannot be loaded,
and ``import torchvision`` fails with ``operator torchvision::nms does not exist``: its Python code
describes operators that nobody has declared. torchmetrics imports torchvision, and Lightning
imports torchmetrics, so all three are lost with it.

ansnet needs torchvision's Python part only, data sets and transforms. So where the import fails for
this reason the operators are declared, without an implementation, and torchvision imported again,
and the user is told. Calling such an operator remains an error.

Everything in ansnet that needs one of the three takes it from here.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import warnings
from pathlib import Path

import torch


class MissingOperatorsWarning(UserWarning):
    """torchvision works without its compiled operators."""


def import_torchvision() -> None:
    """Import torchvision, if need be without its compiled operators.

    Raises:
        ImportError, RuntimeError: torchvision is missing, or broken for another reason.

    Warns:
        MissingOperatorsWarning: it was imported without its compiled operators.
    """
    try:
        importlib.import_module("torchvision")
        return
    except RuntimeError as error:
        if not re.search(r"operator torchvision::\w+ does not exist", str(error)):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    for operator in described_operators():
        torch.library.define(operator, "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    module = importlib.import_module("torchvision")
    warnings.warn(
        f"torchvision {module.__version__} was compiled for another build of torch than "
        f"{torch.__version__}, so its compiled operators (nms, roi_align, …) are missing; ansnet uses "
        "none of them, and everything of ansnet works",
        MissingOperatorsWarning,
        stacklevel=2,
    )


def described_operators() -> list[str]:
    """The operators that torchvision's Python code describes whether or not they are there."""
    package = importlib.util.find_spec("torchvision")
    assert package is not None
    assert package.origin is not None
    source = Path(package.origin).with_name("_meta_registrations.py").read_text(encoding="utf-8")
    return re.findall(r"register_fake\(\s*[\"'](torchvision::\w+)[\"']", source)


import_torchvision()

import lightning.pytorch as lightning  # noqa: E402
import torchmetrics  # noqa: E402
import torchvision  # noqa: E402
from lightning.fabric import Fabric  # noqa: E402

__all__ = ["Fabric", "MissingOperatorsWarning", "lightning", "torchmetrics", "torchvision"]
