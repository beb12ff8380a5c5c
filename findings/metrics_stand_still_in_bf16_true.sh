#!/usr/bin/env bash
# torchmetrics 1.9.0 in Lightning 2.6.6, torch 2.13.0, Trainer(precision="bf16-true"): the running sums of
# a metric within the LightningModule are bfloat16 too, and an epoch's mean is wrong by much. torchmetrics
# guards its states against module.bfloat16(), module.half() and module.float() by the name of what is
# applied, not against module.to(torch.bfloat16), which is how Lightning converts the module.
#
# A sum of bfloat16, which has 8 bits, stands still as soon as what is added is half of its last digit. A
# MeanMetric that gets a loss of 1.0 for 4,000 images in batches of 8, and of 0.0 for another 4,000, says
# 1.0 rather than 0.5: both sums stop at 2,048. A MeanSquaredError counts in integers what it divides by,
# so that the same gives 0.26. Accuracy, which counts in integers only, is right. With
# "bf16-mixed" all are right; so are all that self.log averages by itself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.4.6' 'lightning==2.6.6' 'torchmetrics==1.9.0'
cat > "$work/case.py" <<'PYTHON'
import logging
import sys
import warnings

import lightning.pytorch as lightning
import torch
import torchmetrics
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
torch.manual_seed(0)
LOSSES = torch.cat([torch.ones(4000), torch.zeros(4000)])


class Measured(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.mean = torchmetrics.MeanMetric()
        self.squared = torchmetrics.MeanSquaredError()

    def validation_step(self, batch):
        (losses,) = batch
        self.mean.update(losses.mean(), weight=len(losses))
        self.squared.update(losses, torch.zeros_like(losses))
        self.log("mean", self.mean)
        self.log("squared", self.squared)
        self.log("lightning", losses.mean(), batch_size=len(losses))


def validate(precision):
    trainer = lightning.Trainer(
        accelerator="cpu", precision=precision, logger=False, enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False, default_root_dir=sys.argv[1],
    )
    loader = DataLoader(TensorDataset(LOSSES), batch_size=8)
    (figures,) = trainer.validate(Measured(), loader, verbose=False)
    return [round(figures[name], 3) for name in ("mean", "squared", "lightning")]


found = {precision: validate(precision) for precision in ("bf16-mixed", "bf16-true")}
print(torch.__version__, lightning.__version__, torchmetrics.__version__)
print("the mean of 4,000 ones and 4,000 zeros: MeanMetric, MeanSquaredError, Lightning's own")
for precision, figures in found.items():
    print(precision, *figures)
raise SystemExit(found != {"bf16-mixed": [0.5, 0.5, 0.5], "bf16-true": [1.0, 0.256, 0.5]})
PYTHON
"$work/venv/bin/python" "$work/case.py" "$work"
