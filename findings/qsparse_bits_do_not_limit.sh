#!/usr/bin/env bash
# qsparse 2.0.1, with torch 2.13.0, on a CPU: numbers that it quantises to 4 bits take far more than 16
# values. What the forward limits to the range of the bits is a copy (of the float() of whole numbers),
# which is thrown away; so 20 with 3 binary places stays 20.0, where 4 bits end at 0.875. The backward
# goes on as if it had been limited. A network trained so does not fit the hardware that it is meant for,
# and nothing says so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'qsparse==2.0.1' 'numpy==2.3.5' \
  'scikit-learn==1.9.1' 'scipy==1.17.1' 'matplotlib==3.11.2'
cat > "$work/case.py" <<'PYTHON'
import torch
from qsparse.quantize import quantize_with_decimal, quantize_with_scaler

x = torch.linspace(-20, 20, 10_001)
too_many = []
for name, quantise in {
    "3 binary places": lambda: quantize_with_decimal(x, 4, 3),
    "steps of 0.125": lambda: quantize_with_scaler(x, 4, 0.125),
}.items():
    z = quantise()
    values = len(z.unique())
    too_many.append(values > 16)
    print(torch.__version__, f"4 bits, {name}: {values} values, from {z.min():g} to {z.max():g}")
print("right: 16 values, from -1 to 0.875")
raise SystemExit(not all(too_many))
PYTHON
"$work/venv/bin/python" "$work/case.py"
