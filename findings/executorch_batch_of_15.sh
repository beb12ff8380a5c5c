#!/usr/bin/env bash
# executorch 1.5.1 with torch 2.13.0, on an AVX-512 CPU: a network with a convolution, exported for batches
# of 1 to 64, becomes a file that takes 15 at most, if the example has fewer than 16 images. Nothing is
# said: the program's range_constraints still read 64. When the program is lowered, the choice of the
# convolution's kernel asks whether the batch is below 16, which narrows the bound, and by that the file's
# memory is planned. An example of 16 images gives a file that takes 1 to 64; without a convolution any does.
#
# Who tries the file with the example's batch size, as the tutorials do, meets it in the application:
# "method->set_inputs() for method 'forward' failed with error 0x10".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.4.6' 'executorch==1.5.1' 'torchao==0.18.0'
cat > "$work/case.py" <<'PYTHON'
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime
from torch.export import Dim, export


def largest(network, *shape):
    """The largest batch that the file takes."""
    any_size = ({0: Dim("batch", min=1, max=64)},)
    program = export(network.eval(), (torch.randn(shape),), dynamic_shapes=any_size)
    edge = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    [declared] = edge.exported_program().range_constraints.values()
    assert declared.upper == 64
    method = Runtime.get().load_program(edge.to_executorch().buffer).load_method("forward")
    return method.metadata.input_tensor_meta(0).sizes()[0]


seen = {
    "linear, example of 2": largest(torch.nn.Linear(3, 4), 2, 3),
    "convolution, example of 2": largest(torch.nn.Conv2d(3, 4, 3), 2, 3, 8, 8),
    "convolution, example of 16": largest(torch.nn.Conv2d(3, 4, 3), 16, 3, 8, 8),
}
print(torch.__version__, seen)
raise SystemExit(list(seen.values()) != [64, 15, 64])
PYTHON
"$work/venv/bin/python" "$work/case.py"
