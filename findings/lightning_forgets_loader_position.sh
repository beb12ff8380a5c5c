#!/usr/bin/env bash
# Lightning 2.6.6 with torchdata 0.11.0 and torch 2.13.0: a training that is resumed within an epoch starts
# the data loader from its beginning, although the loader is stateful (torchdata's StatefulDataLoader) and
# its position is in the checkpoint, if configure_optimizers has asked for
# trainer.estimated_stepping_batches, which is how the documentation has OneCycleLR's total_steps set.
#
# To count the steps the trainer makes the loaders before it reads the checkpoint's loops; afterwards it
# finds the loaders made, and never gives them their state. The counters do go on, so that the epoch ends
# after the number of batches that were left: the first images are trained on twice, the last ones not at
# all. Nothing is said: the warning of a loader that is not resumable is silenced by its being stateful.
# Without the question, all is as it should be.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.4.6' 'lightning==2.6.6' 'torchdata==0.11.0'
cat > "$work/case.py" <<'PYTHON'
import logging
import sys
import warnings
from pathlib import Path

import lightning.pytorch as lightning
import torch
import torchdata
from torch import nn
from torchdata.stateful_dataloader import StatefulDataLoader

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Interrupted(Exception):
    pass


class Classifier(lightning.LightningModule):
    def __init__(self, asks, stop=None):
        super().__init__()
        self.linear, self.asks, self.stop, self.taken = nn.Linear(1, 1), asks, stop, []

    def training_step(self, batch):
        self.taken.append(int(batch))
        return self.linear(batch.float().view(1, 1)).square().mean()

    def on_train_batch_end(self, outputs, batch, batch_idx):
        if batch_idx == self.stop:
            self.trainer.save_checkpoint(sys.argv[1] + "/within.ckpt")
            raise Interrupted

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=1e-3)
        steps = self.trainer.estimated_stepping_batches if self.asks else 8
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=steps)
        return [optimizer], [{"scheduler": scheduler, "interval": "step"}]


def train(asks, stop=None, checkpoint=None):
    classifier = Classifier(asks, stop)
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False, default_root_dir=sys.argv[1],
    )
    try:
        trainer.fit(classifier, StatefulDataLoader(range(8), batch_size=1), ckpt_path=checkpoint)
    except Interrupted:
        pass
    return classifier.taken


print(torch.__version__, lightning.__version__, torchdata.__version__)
found = {}
for asks in (False, True):
    first = train(asks, stop=2)
    found[asks] = first, train(asks, checkpoint=Path(sys.argv[1], "within.ckpt"))
    print("asks for the number of steps: %s; trained on %s, and resumed on %s" % (asks, *found[asks]))
raise SystemExit(
    found != {False: ([0, 1, 2], [3, 4, 5, 6, 7]), True: ([0, 1, 2], [0, 1, 2, 3, 4])}
)
PYTHON
"$work/venv/bin/python" "$work/case.py" "$work"
