#!/usr/bin/env bash
# torch 2.13.0: DistributedDataParallel refuses a network on a CPU that has a layer of a subclass of
# nn.SyncBatchNorm, whatever the subclass computes, also one that works on a CPU and synchronises by gloo:
# "SyncBatchNorm layers only work with GPU modules". It asks for the class, and not for what the layer can
# do.
# The same layer derived from nn.BatchNorm2d is taken.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.4.6'
cat > "$work/case.py" <<'PYTHON'
import sys

import torch
import torch.distributed as distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel

distributed.init_process_group(
    "gloo", store=distributed.FileStore(sys.argv[1] + "/store", 1), rank=0, world_size=1
)


def forward(self, x):
    """Normalised by the mean and the mean square over all processes, on any device."""
    sums = torch.cat([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))])
    distributed.all_reduce(sums)
    mean, square = (sums / distributed.get_world_size()).view(2, 1, -1, 1, 1)
    return (x - mean) / (square - mean.square() + self.eps).sqrt()


def trained(base):
    layer = type("Normalisation", (base,), {"forward": forward})(3)
    try:
        DistributedDataParallel(layer)(torch.randn(4, 3, 2, 2))
        return "is taken"
    except ValueError as error:
        return "is refused: %s" % error


found = {base.__name__: trained(base) for base in (nn.BatchNorm2d, nn.SyncBatchNorm)}
print(torch.__version__)
for base, outcome in found.items():
    print("derived from %s it %s" % (base, outcome))
distributed.destroy_process_group()
raise SystemExit(
    found["BatchNorm2d"] != "is taken" or "only work with GPU modules" not in found["SyncBatchNorm"]
)
PYTHON
"$work/venv/bin/python" "$work/case.py" "$work"
