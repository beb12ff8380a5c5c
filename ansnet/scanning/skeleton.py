"""A test file for the Functions of a package, those too for which samples are left to be written."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ansnet.scanning.files import Package
from ansnet.scanning.source import Found

if TYPE_CHECKING:
    from ansnet.scanning.trial import Trial

WIDTH = 88  # as most formatters have it

HEADER = '''"""The autograd.Functions of {package}, checked in every way in which PyTorch may use them.

Begun by: {command}
The samples are guessed: put those in their place that your users have. The references
are yours to name: what each Function should equal, in plain PyTorch.
"""

from __future__ import annotations

{imports}
'''


def skeleton(
    package: Package,
    trials: Sequence[Trial],
    command: str,
    only: Sequence[str] = (),
    backend: str = "aot_eager",
) -> str:
    """The text of the file.

    Args:
        package: what was searched.
        trials: what came of its Functions.
        command: by which it is written.
        only: the capabilities that were tried; empty: all.
        backend: of `torch.compile`.
    """
    names = test_names([trial.found for trial in trials])
    tests = [
        tried(trial, name, only, backend) if trial.samples else untried(trial, name)
        for trial, name in zip(trials, names, strict=True)
    ]
    header = HEADER.format(package=package.name, command=command, imports=imports(package, trials))
    return header + "".join(f"\n\n{test}" for test in tests)


def imports(package: Package, trials: Sequence[Trial]) -> str:
    """The import statements, sorted as formatters have them."""
    modules = sorted({trial.found.module for trial in trials if trial.samples})
    is_here = package.root in (Path.cwd(), Path.cwd() / "src")
    other = [f"import {module}" for module in modules]
    from_ansnet = "from ansnet.testing import CapabilityTest, parametrize_capabilities"
    if not modules:
        return "import pytest"
    lines = ["import pytest"] if any(not trial.samples for trial in trials) else []
    if any(module.partition(".")[0] == "ansnet" for module in modules) and is_here:
        return "\n".join([*lines, *([""] if lines else []), *other, from_ansnet])
    if is_here:
        return "\n".join([*lines, from_ansnet, "", *other])
    return "\n".join([*sorted([*lines, *other]), from_ansnet])


def test_names(found: Iterable[Found]) -> list[str]:
    """A name for the test of each, with the module's where two classes have one name."""
    found = list(found)
    short = [snake(each.name) for each in found]
    names: list[str] = []
    for each, name in zip(found, short, strict=True):
        if short.count(name) > 1:
            name = f"{snake(each.module.rpartition('.')[2])}_{name}"
        while name in names:
            name = f"{name}_{each.line}"
        names.append(name)
    return [f"test_{name}" for name in names]


def snake(name: str) -> str:
    """``Outer.FastSigmoid`` as ``outer_fast_sigmoid``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace(".", "_").lower().strip("_")


def listed_rows(only: Sequence[str]) -> list[str]:
    """The argument that names the capabilities, where not all were asked for."""
    if not only:
        return []
    return ["    only=[", *(f"        {quoted(name)}," for name in only), "    ],"]


def tried(trial: Trial, name: str, only: Sequence[str], backend: str) -> str:
    """The test of a Function for which there are samples."""
    found = trial.found
    samples = [f"        {quoted(sample)}," for sample in trial.samples]
    lines = [
        *comment(f"{found.file.name}, line {found.line}: {found.signature}"),
        "@parametrize_capabilities(",
        f"    {found.module}.{found.name}.apply,",
        "    None,  # the reference: a function that it should equal",
        "    [",
        *samples,
        "    ],",
        *listed_rows(only),
        f"    backend={quoted(backend)},",
        "    # derivative=...,  # the function whose derivative it should have, if not its own",
        *expected_failures(trial),
        ")",
        f"def {name}(capability: CapabilityTest) -> None:",
        "    capability()",
    ]
    return "\n".join(lines) + "\n"


def expected_failures(trial: Trial) -> list[str]:
    """The capabilities that fail now, to be mended or taken for what is meant."""
    if trial.report is None or not trial.report.failures:
        return []
    reasons = {
        name: explanation.cause.sentence
        for explanation in trial.report.causes
        for name in explanation.capabilities
    }
    return [
        *comment("what fails now; mend it, or say why it is meant so:", 4),
        "    # expected_failures={",
        *(f"    #     {quoted(name)}: {quoted(reason)}," for name, reason in reasons.items()),
        "    # },",
    ]


def untried(trial: Trial, name: str) -> str:
    """A test that is skipped, and says why and what is to be written."""
    found = trial.found
    reason = f"TODO: {trial.reason}"
    return (
        "\n".join(
            [
                *comment(f"{found.file.name}, line {found.line}: {found.signature}"),
                "@pytest.mark.skip(",
                *strings(reason, "    reason="),
                ")",
                f"def {name}() -> None:",
                f'    """TODO: give samples to {found.module}.{found.name}, as above."""',
            ]
        )
        + "\n"
    )


def comment(text: str, indent: int = 0) -> list[str]:
    """Lines of a comment."""
    lead = " " * indent + "# "
    return textwrap.wrap(
        text, WIDTH, initial_indent=lead, subsequent_indent=lead, break_on_hyphens=False
    )


def strings(text: str, lead: str) -> list[str]:
    """A string as an argument, in several pieces if it is long."""
    if len(f"{lead}{quoted(text)},") <= WIDTH:
        return [f"{lead}{quoted(text)},"]
    pieces = [text]
    if len(quoted(text)) > WIDTH - 8:
        pieces = textwrap.wrap(text, WIDTH - 14, break_on_hyphens=False)
        pieces = [*(f"{piece} " for piece in pieces[:-1]), pieces[-1]]
    return [f"{lead}(", *(f"        {quoted(piece)}" for piece in pieces), "    ),"]


def quoted(text: str) -> str:
    """A string in the quotes that formatters prefer."""
    plain = repr(text)
    if plain.startswith("'") and '"' not in text:
        return f'"{plain[1:-1]}"'
    if "'" in text and '"' in text:
        inner = plain[1:-1].replace("\\'", "'").replace('"', '\\"')
        return f'"{inner}"'
    return plain
