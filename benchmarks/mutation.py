"""What the tests notice: ansnet changed in one place after another, and its tests run on each change::

    python benchmarks/mutation.py                              # all of it, in a few hours
    python benchmarks/mutation.py ansnet/models                # a package, or a file
    python benchmarks/mutation.py ansnet/data --sample 200     # as many, drawn from a seed
    python benchmarks/mutation.py --survivors --wide           # what went unnoticed, by more tests
    python benchmarks/mutation.py --show                       # what has come of it so far

The changes are Cosmic Ray's: another operator, a number one more or one less, a condition negated, a
loop never entered, a decorator left out (`OPERATORS`). They are made in the file itself, so that
``forward`` and ``backward`` of a Function and what is decorated are changed as well as anything else;
the file is one of a copy, so that the checkout may be worked on meanwhile.

Each change is tested by the files that mirror the changed one (`tests_of`) until the first test fails,
in a fork of a process that has imported PyTorch and Lightning already. ``--session`` keeps the results:
a run that was broken off goes on where it was, and since the order is random, what it has done is a
sample. When ansnet has been changed, begin with a new one.

``pip install -e '.[test,mutation]'`` installs what it takes. What came of it: ``docs/testing.md``.
"""

from __future__ import annotations

import argparse
import ast
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from time import monotonic

import pytest
from cosmic_ray.commands import init
from cosmic_ray.modules import find_modules
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult

ROOT = Path(__file__).parents[1]
PACKAGES = ("functional", "modules", "models", "data", "training")

# One replacement for an arithmetic operator and one for an equality, two for an order. Of the others
# most are no operation of tensors at all, which any test would notice.
OPERATORS = re.compile(
    "core/("
    "ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_Mul|Pow_Mul"
    "|BitOr_BitAnd|BitAnd_BitOr)"
    "|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is"
    "|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE|GtE_Gt|GtE_Lt)"
    "|ReplaceUnaryOperator_Delete_.*|AddNot|ReplaceAndWithOr|ReplaceOrWithAnd"
    "|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceBreakWithContinue|ReplaceContinueWithBreak"
    "|NumberReplacer|ZeroIterationForLoop|ExceptionReplacer|RemoveDecorator)"
)

# decorators without which a Function, whose methods its class calls, and a formula compute the same
WITHOUT_EFFECT = ("@staticmethod", "@kernel")

CAPABILITIES = "tests/functional/test_capabilities.py::test_"
# what tests a file besides tests/PACKAGE/test_FILE*.py
MORE_TESTS = {
    "data/cifar10": ["tests/data/test_datamodule.py"],
    "functional/activation": [f"{CAPABILITIES}relu"],
    "functional/arguments": [
        f"tests/functional/test_{name}.py" for name in ("linear", "conv", "pooling", "normalization")
    ],
    "functional/conv": ["tests/functional/arrangements", f"{CAPABILITIES}conv2d"],
    "functional/function": [f"{CAPABILITIES}{name}" for name in ("relu", "batch_norm1d")],
    "functional/fused": [f"{CAPABILITIES}batch_norm_relu2d"],
    "functional/linear": [f"{CAPABILITIES}linear"],
    "functional/loss": [f"{CAPABILITIES}cross_entropy"],
    "functional/normalization": [
        "tests/functional/test_fused.py",
        f"{CAPABILITIES}batch_norm1d",
        f"{CAPABILITIES}batch_norm2d",
    ],
    "functional/pooling": ["tests/functional/test_fused.py", f"{CAPABILITIES}max_pool2d"],
    "functional/shape": [f"{CAPABILITIES}reshape"],
    "models/resnet": ["tests/models/test_registry.py"],
    "models/vgg": ["tests/models/test_registry.py"],
    "training/settings": ["tests/test_configs.py"],
}
# what takes long to import, and is never changed: of ansnet that which has torchvision and Lightning
IMPORTED = (
    "matplotlib.figure",
    "tensorboard.backend.event_processing.event_accumulator",
    "torch._dynamo",
    "ansnet.compatibility",
)
# whole networks in float64, and what is compiled or has code generated, a minute each; left to --wide,
# as whole runs are for what they consist of
SLOW = (
    "tests/models/test_registry.py::test_equals_its_twin_of_pytorchs_layers",
    "tests/functional/test_kernel.py::test_generated_code_computes_the_formula",
    "tests/functional/test_overlapping_pooling.py::test_large_images_whose_code_is_generated",
)
SLOW_CAPABILITIES = ("compile", "one tensor in two places")  # compiled, compile dynamic shapes, …


def tests_of(path: Path, wide: bool) -> list[str]:
    """What pytest is to run for a change of ``path``, in the current directory."""
    package, name = path.parts[-2], path.stem
    if wide:
        return [f"tests/{package}"]
    mirrors = sorted(map(str, Path("tests", package).glob(f"test_{name}*.py")))
    tests = [*mirrors, *MORE_TESTS.get(f"{package}/{name}", [])]
    rows = [test for test in tests if test.startswith(CAPABILITIES)]
    slow = [*SLOW, *(f"{row}[{capability}" for row in rows for capability in SLOW_CAPABILITIES)]
    return [*(f"--deselect={test}" for test in slow), *(tests or [f"tests/{package}"])]


def spans_of_annotations(source: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where the annotations are, as (line, column) of their start and end: they are never evaluated."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        for name in ("annotation", "returns"):
            found = getattr(node, name, None)
            if found is not None:
                ends = (found.lineno, found.col_offset), (found.end_lineno, found.end_col_offset)
                start, end = (
                    (line, len(lines[line - 1].encode()[:column].decode())) for line, column in ends
                )
                yield start, end


def begin(session: WorkDB, paths: Sequence[Path], sample: int | None, seed: int) -> None:
    """Fill a session with those of Cosmic Ray's changes that are to be made."""
    modules = sorted(find_modules(paths))
    sources = {path: path.read_text("utf-8") for path in modules}
    spans = {path: list(spans_of_annotations(source)) for path, source in sources.items()}

    def counts(change: MutationSpec) -> bool:
        line = sources[change.module_path].splitlines()[change.start_pos[0] - 1]
        annotated = any(start <= change.start_pos < end for start, end in spans[change.module_path])
        return not (
            OPERATORS.fullmatch(change.operator_name) is None
            or annotated
            or line.strip() in WITHOUT_EFFECT
        )

    with tempfile.TemporaryDirectory() as folder, use_db(Path(folder, "all.sqlite")) as every:
        init(modules, every, {})
        items = sorted(every.work_items, key=in_order)
    chosen = [item for item in items if counts(item.mutations[0])]
    if sample is not None and sample < len(chosen):
        chosen = random.Random(seed).sample(chosen, sample)
    session.add_work_items(chosen)


def in_order(item: WorkItem) -> tuple[Path, tuple[int, int], str, int]:
    change = item.mutations[0]
    return change.module_path, change.start_pos, change.operator_name, change.occurrence


def run(session: WorkDB, items: Sequence[WorkItem], wide: bool) -> None:
    """Make the changes one after the other and note whether a test has noticed."""
    times: dict[tuple[str, ...], float] = {}
    for number, item in enumerate(items, 1):
        change = item.mutations[0]
        tests = tuple(tests_of(change.module_path, wide))
        if tests not in times:  # unchanged, they pass
            start = monotonic()
            if noticed(tests, None):
                raise SystemExit(f"these tests fail without any change: pytest {' '.join(tests)}")
            times[tests] = monotonic() - start
        source = change.module_path.read_text("utf-8")
        operator = get_operator(change.operator_name)(**change.operator_args)
        changed = mutate_code(source, operator, change.occurrence)
        change.module_path.write_text(changed, "utf-8")
        outcome = noticed(tests, 5 * times[tests] + 30)
        change.module_path.write_text(source, "utf-8")
        result = TestOutcome.KILLED if outcome else TestOutcome.SURVIVED
        difference = difference_of(source, changed)
        session.set_result(
            item.job_id, WorkResult(WorkerOutcome.NORMAL, outcome, result, f"{difference}")
        )
        place = f"{change.module_path}:{change.start_pos[0]}"
        print(f"{number}/{len(items)}  {result.value:<8}  {place}  {difference}", flush=True)


def noticed(tests: Sequence[str], seconds: float | None) -> str:
    """How the tests have noticed a change, by failing or by taking too long; empty if they have not."""
    process = multiprocessing.get_context("fork").Process(target=run_pytest, args=(tests,))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
        return "took too long"
    return "failed" if process.exitcode else ""


def run_pytest(tests: Sequence[str]) -> None:
    os.setsid()  # so that what the tests start can be ended with them
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    # Hypothesis works without its plugin, which takes half a second to import
    unused = [word for name in ("cacheprovider", "hypothesispytest") for word in ("-p", f"no:{name}")]
    sys.exit(pytest.main(["-x", "-q", *unused, *tests]))


def difference_of(source: str, changed: str) -> str:
    """The first line that differs, as it was and as it is."""
    pairs = zip(source.splitlines(), [*changed.splitlines(), ""], strict=False)
    return next((f"{old.strip()}  →  {new.strip()}" for old, new in pairs if old != new), "")


def show(session: WorkDB) -> None:
    """Print how many changes of each package were noticed, and those that were not."""
    counts: Counter[tuple[str, str]] = Counter()
    survivors = []
    for item, result in sorted(session.completed_work_items, key=lambda pair: in_order(pair[0])):
        change = item.mutations[0]
        counts[change.module_path.parts[1], result.test_outcome.value] += 1
        if result.test_outcome is TestOutcome.SURVIVED:
            survivors.append(f"{change.module_path}:{change.start_pos[0]}  {result.diff}")
    print("\n".join(survivors))
    for package in sorted({package for package, _ in counts}):
        killed, survived = counts[package, "killed"], counts[package, "survived"]
        share = killed / (killed + survived)
        print(f"{package}: {killed + survived} changes, {killed} noticed ({share:.1%}), {survived} not")
    print(f"{len(session.pending_work_items)} to be made")


def copied(target: Path) -> None:
    """Copy what the tests read, and go there."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("ansnet", "tests", "benchmarks", "configs", "docs"):
        shutil.copytree(ROOT / name, target / name, ignore=ignored)
    for name in ("conftest.py", "setup.cfg", "train.py", "README.md"):
        shutil.copy(ROOT / name, target)
    os.chdir(target)


def prepare() -> None:
    """Import what takes long, once for all changes, and have the copy's ansnet imported."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["PYTHONPATH"] = str(Path.cwd())
    sys.path.insert(0, str(Path.cwd()))
    for name in IMPORTED:
        import_module(name)
    # no threads, which a fork has not
    import_module("torch").set_num_threads(1)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="*", type=Path, default=[Path("ansnet", p) for p in PACKAGES])
    parser.add_argument("--sample", type=int, help="number of changes to draw from those possible")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing")
    parser.add_argument("--session", type=Path, default=Path("mutation.sqlite"))
    parser.add_argument("--survivors", action="store_true", help="make again what was not noticed")
    parser.add_argument("--wide", action="store_true", help="run all tests of the changed package")
    parser.add_argument("--show", action="store_true", help="print the results and end")
    given = parser.parse_args(words)
    is_new = not given.session.exists()
    with use_db(given.session.absolute()) as session, tempfile.TemporaryDirectory() as folder:
        if given.show:
            show(session)
            return
        copied(Path(folder))
        if is_new:
            begin(session, given.paths, given.sample, given.seed)
        prepare()
        items = session.pending_work_items
        if given.survivors:
            items = tuple(
                item
                for item, result in session.completed_work_items
                if result.test_outcome is TestOutcome.SURVIVED
            )
        run(session, items, given.wide)
        show(session)


if __name__ == "__main__":
    main()
