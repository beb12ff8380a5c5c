#!/usr/bin/env bash
# torch 2.13.0 (and 2.14.1), on a CPU with AMX: conv2d of bfloat16 in channels-last memory, or channels of
# one row, is a whole number of times too large, silently: as many times as the window is wide. It takes
# some 12,000 channels times columns of the window, and rows of 64 outputs: 2048 channels with 8 columns
# come out 8 times too large, with 5 right; 4096 channels with 3 × 3, which VGG-like heads and 1-D networks
# have, 3 times. Float32 is right, and so is each half of the channels, whose sum the whole should be.
# On a CPU without AMX there is nothing to see, and this exits with 0.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5'
cat > "$work/case.py" <<'PYTHON'
import torch
import torch.nn.functional as F

if not torch.cpu._is_amx_tile_supported():
    raise SystemExit(print("this CPU has no AMX"))


def ratio(channels, rows, columns, window):
    """The sum of conv2d's results, divided by that of the same in two halves of the channels."""
    torch.manual_seed(0)
    x = torch.rand(1, channels, rows, columns, dtype=torch.bfloat16)
    w = torch.rand(64, channels, *window, dtype=torch.bfloat16)
    x, w = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, w))
    halves = zip(x.chunk(2, 1), w.chunk(2, 1), strict=True)
    right = sum(F.conv2d(*half).double().sum() for half in halves)
    return float(F.conv2d(x, w).double().sum() / right)


print("torch", torch.__version__)
found = []
for channels, rows, columns, window, times in [
    (2048, 1, 1024, (1, 5), 1),
    (2048, 1, 1024, (1, 8), 8),
    (2048, 1, 1024, (1, 16), 16),
    (2048, 64, 64, (7, 7), 7),
    (4096, 32, 64, (3, 3), 3),
]:
    found.append(round(ratio(channels, rows, columns, window), 1))
    height, width = window
    print(f"{channels} channels, {rows} x {columns}, window {height} x {width}: {found[-1]} times the sum")
print("right: 1.0 times")
raise SystemExit(found != [1.0, 8.0, 16.0, 7.0, 3.0])
PYTHON
"$work/venv/bin/python" "$work/case.py"
