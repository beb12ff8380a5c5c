"""What each of two processes does, started by ``-m tests.training.two_processes DIR``.

Everything that needs two processes, in one start of them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch

from ansnet.training.classifier import ImageClassifier
from ansnet.training.run import train
from tests.training.small import few_shapes, small_settings

TRAIN, VAL = 400, 51  # images; one process has a validation image more than the other
SGD = {"optimizer": "sgd", "lr": 0.01, "schedule": "constant", "warmup": 0.0, "augment": False}
# 25 steps of 16 images in each of two epochs
EXACT = {"model": "CNR(4), M(8), CNR(4), L(10)", "precision": "64-true", "pictures_every": 0}
CASES: dict[str, dict[str, Any]] = {
    "synchronised": {**EXACT, **SGD},
    "not synchronised": {**EXACT, **SGD, "sync_batchnorm": False, "max_epochs": 1},
    "augmented": {**EXACT, **SGD, "augment": True, "cutout": 4, "test_time_flip": True},
    "float32": {**EXACT, **SGD, "lr": 0.001, "precision": "32-true"},
    "few": {**EXACT, **SGD, "overfit_batches": 1, "max_epochs": 1},
}


def run(case: str, folder: Path, processes: int) -> Any:
    """Train a case, all processes together by 16 images a step."""
    given = {name: value for name, value in CASES[case].items() if processes > 1 or name != SWITCH}
    several = {"devices": processes, "batch_size": 16 // processes}
    return train(small_settings(folder / case, **{**given, **several}))


SWITCH = "sync_batchnorm"

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with few_shapes(TRAIN, VAL) as patch:
        for case in CASES:
            run(case, folder, 2)
        if os.environ["RANK"] == "1":

            def fails(*_: Any) -> None:
                raise ArithmeticError("only this process fails")

            patch.setattr(ImageClassifier, "training_step", fails)
        print("all done", flush=True)
        run("synchronised", folder, 2)
