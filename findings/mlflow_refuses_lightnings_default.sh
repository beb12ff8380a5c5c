#!/usr/bin/env bash
# Lightning 2.6.6 with mlflow 3.17.2: MLFlowLogger() and MLFlowLogger("name"), as Lightning's documentation
# has it, raise MlflowException: its default place is the folder ./mlruns, and mlflow no longer writes to
# folders. So does save_dir=, Lightning's way to name another folder. A database must be named,
# tracking_uri="sqlite:///mlflow.db". Scripts that have recorded for years end with a release of mlflow that
# Lightning's requirement (mlflow>=1.0.0) lets in.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.4.6' 'lightning==2.6.6' 'mlflow==3.17.2'
cat > "$work/case.py" <<'PYTHON'
import logging
import os
import sys
import warnings

import lightning.pytorch as lightning
import mlflow
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import MLFlowLogger

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
os.chdir(sys.argv[1])


def train(**place):
    """How many steps are recorded, and the error that it ends in."""
    try:
        trainer = lightning.Trainer(
            accelerator="cpu", max_steps=2, logger=MLFlowLogger("name", **place), enable_progress_bar=False,
            enable_checkpointing=False, enable_model_summary=False,
        )
        trainer.fit(BoringModel())
    except mlflow.MlflowException as error:
        return 0, str(error).split(" (")[0]
    return trainer.global_step, "nothing"


by_default, by_folder = train(), train(save_dir="records")
by_database = train(tracking_uri="sqlite:///mlflow.db")
print("lightning", lightning.__version__, "mlflow", mlflow.__version__, "torch", torch.__version__)
for name, outcome in (("default", by_default), ("save_dir", by_folder), ("a database", by_database)):
    print(f"{name}: {outcome[0]} steps, error: {outcome[1]}")
refused = "The filesystem tracking backend" in by_default[1] and by_default == by_folder
raise SystemExit(not (refused and by_database == (2, "nothing")))
PYTHON
"$work/venv/bin/python" "$work/case.py" "$work"
