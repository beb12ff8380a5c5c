#!/usr/bin/env bash
# Lightning 2.6.6 with mlflow 3.17.2: MLFlowLogger() and MLFlowLogger("name"), as Lightning's documentation
# has it, raise MlflowException at the first figure that is logged: its default place is the folder ./mlruns,
# and mlflow no longer writes to folders. A database must be named, tracking_uri="sqlite:///mlflow.db".
# The logger is made without a word, and the trainer too. What fails is the training's begin, after the data
# was loaded and, in a longer run, after whatever went before trainer.fit.
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
    """The step at which it ends, and what it ends in."""
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=2, logger=MLFlowLogger("name", **place), enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False,
    )
    try:
        trainer.fit(BoringModel())
    except mlflow.MlflowException as error:
        return trainer.global_step, str(error).split(".")[0]
    return trainer.global_step, "nothing"


by_default, by_database = train(), train(tracking_uri="sqlite:///mlflow.db")
print("lightning", lightning.__version__, "mlflow", mlflow.__version__, "torch", torch.__version__)
print("the default ended at step %d in: %s" % by_default)
print("a database ended at step %d in: %s" % by_database)
raise SystemExit(not (by_default[0] == 0 and "filesystem" in by_default[1] and by_database == (2, "nothing")))
PYTHON
"$work/venv/bin/python" "$work/case.py" "$work" 2>&1 | grep -v "INFO"
