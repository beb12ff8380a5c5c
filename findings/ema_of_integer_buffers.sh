#!/usr/bin/env bash
# Lightning 2.6.6 with torch 2.13.0 (the averaging itself the same on torch 2.14.1): EMAWeightAveraging
# averages buffers too, its default (torch's AveragedModel(use_buffers=True) with get_ema_avg_fn or
# get_ema_multi_avg_fn). Integers are averaged like weights and cut down to integers, so that a table of
# indices that never changes does change: with a decay of 0.9999, of the 256 places of an embedding 46 are
# one too low after two steps. The validation and the checkpoint, which take the average, have the wrong
# table; the training itself has the right one. At 0.999 and 0.99 nothing happens to such small numbers, at
# 0.9999 and 0.9 it does: it hangs on how decay and 1 - decay round.
#
# Such tables are relative_position_index in Swin, position_ids in CLIP and ViT. Here no weight moves at all
# (learning rate 0), so that the average is the network itself, and yet its scores differ.
# (A buffer of booleans is averaged in silence; equal weights, avg_fn=None, raise at it.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.4.6' 'lightning==2.6.6'
cat > "$work/case.py" <<'PYTHON'
import logging
import sys
import warnings

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Classifier(lightning.LightningModule):
    """Scores by a table of places, which is looked up by indices that are a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("places", torch.arange(256))
        self.table = nn.Embedding(256, 4)

    def forward(self, x):
        return x @ self.table(self.places)

    def training_step(self, batch):
        return self(batch[0]).square().mean()

    def validation_step(self, batch):
        self.log("val/loss", self(batch[0]).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def train(decay):
    """How far the validation's loss is from that of the same weights alone; and the wrong indices."""
    torch.manual_seed(0)
    classifier, images = Classifier(), torch.randn(8, 256)
    loss = classifier(images).square().mean().item()
    loader = DataLoader(TensorDataset(images), batch_size=4)
    trainer = lightning.Trainer(
        default_root_dir=sys.argv[1], accelerator="cpu", max_epochs=1, logger=False,
        callbacks=[EMAWeightAveraging(decay=decay)], enable_progress_bar=False,
        enable_checkpointing=False, enable_model_summary=False, num_sanity_val_steps=0,
    )
    trainer.fit(classifier, loader, DataLoader(TensorDataset(images), batch_size=8))
    wrong = int((classifier.places != torch.arange(256)).sum())
    return abs(trainer.callback_metrics["val/loss"].item() / loss - 1), wrong


found = {decay: train(decay) for decay in (0.9, 0.99, 0.999, 0.9999)}
print(torch.__version__, lightning.__version__)
for decay, (apart, wrong) in found.items():
    print("decay %g: %d of 256 indices wrong, the loss off by %.2g %%" % (decay, wrong, 100 * apart))
wrong = [wrong for _, wrong in found.values()]
apart = [apart for apart, _ in found.values()]
raise SystemExit(not (wrong == [76, 0, 0, 46] and apart[3] > 0.01 and apart[2] < 1e-5))
PYTHON
"$work/venv/bin/python" "$work/case.py" "$work"
