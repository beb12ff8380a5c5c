#!/usr/bin/env bash
# nnsight 0.8.1: importing it gives every object of Python a method save, numbers and dictionaries too, for it
# is mounted on the class object. hasattr(x, "save") holds for everything from then on, and numba refuses every
# jitclass, for a class member that nobody wrote: after nnsight, foolbox cannot be imported.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.4.6' 'nnsight==0.8.1' 'numba==0.68.1'
cat > "$work/case.py" <<'PYTHON'
from numba import int64
from numba.experimental import jitclass


class Counter:
    def __init__(self):
        self.number = 0


def compiles():
    try:
        return jitclass([("number", int64)])(Counter)().number == 0
    except TypeError as error:
        print("numba:", error)
        return False


before = hasattr(3, "save"), compiles()
import nnsight

after = hasattr(3, "save"), compiles()
print("(3).save, jitclass: before", before, "after", nnsight.__version__, after)
raise SystemExit((before, after) != ((False, True), (True, False)))
PYTHON
"$work/venv/bin/python" "$work/case.py"
