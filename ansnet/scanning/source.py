"""The `torch.autograd.Function`s in a package's source; nothing is imported.

A class is one if a base of it is: PyTorch's own under any name that it was imported by, or another
class of the package that is one, wherever that was imported from.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansnet.scanning.files import Package

ROOTS = {
    f"torch.autograd{module}.{name}"
    for module, names in (
        ("", ["Function"]),
        (".function", ["Function", "InplaceFunction", "NestedIOFunction"]),
    )
    for name in names
}
NAMES_IT = re.compile(rb"class\s+\w+\s*\([^)]*\bFunction\b")
MEMBERS: tuple[str, ...] = ("jvp", "vmap", "generate_vmap_rule")
DEEPEST = 30  # names that stand for others


@dataclass(frozen=True)
class Parameter:
    """One of a forward's: its name with stars, its annotation and its default as they are written."""

    name: str
    annotation: str = ""
    default: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.default}" if self.default else self.name


@dataclass(frozen=True)
class Found:
    """A Function.

    Attributes:
        module: its dotted name.
        name: of the class, with those that it is in: ``Outer.Inner``.
        file: where it is written.
        line: of the class statement.
        has_setup_context: or its forward takes ``ctx``.
        has: which of jvp, vmap, generate_vmap_rule, once_differentiable.
        parameters: of its forward, but ``ctx``; None: it has no forward.
        within: the function that it is written in, so that it cannot be imported; empty if none.
    """

    module: str
    name: str
    file: Path
    line: int
    has_setup_context: bool
    has: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] | None = None
    within: str = ""

    @property
    def signature(self) -> str:
        """The class with its forward's parameters."""
        if self.parameters is None:
            return self.name
        return f"{self.name}({', '.join(map(str, self.parameters))})"

    @property
    def style(self) -> str:
        """How it is written, in a few words."""
        style = "setup_context" if self.has_setup_context else "ctx in forward"
        return ", ".join([style, *self.has])


@dataclass
class Written:
    """A class statement."""

    node: ast.ClassDef
    name: str
    module: Module
    within: str = ""


@dataclass
class Module:
    """A file, and which names in it stand for what."""

    name: str
    file: Path
    is_package: bool
    tree: ast.Module
    imported: dict[str, str] = field(default_factory=dict)
    assigned: dict[str, str] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    classes: dict[str, Written] = field(default_factory=dict)


def search(package: Package) -> tuple[list[Found], dict[Path, str]]:
    """All Functions in a package's source, by file and line.

    Returns:
        What was found, and the files that cannot be read, with the reason.
    """
    reader = Reader(package)
    reader.read_what_may_matter()
    found = [reader.describe(each) for each in reader.functions()]
    order = {file: number for number, (file, _) in enumerate(package.files)}
    return sorted(found, key=lambda each: (order[each.file], each.line)), reader.unread


class Reader:
    """Reads files, and knows what the names in them stand for.

    Args:
        package: whose files.
    """

    def __init__(self, package: Package) -> None:
        self.package = package
        self.modules: dict[str, Module] = {}
        self.unread: dict[Path, str] = {}

    def read_what_may_matter(self) -> None:
        """Files that may have one, then those that mention a Function that was found, and so on."""
        contents: dict[tuple[Path, str], bytes] = {}
        for file, name in self.package.files:
            try:
                contents[file, name] = file.read_bytes()
            except OSError as error:
                self.unread[file] = error.strerror or str(error)
        words, seen = set[bytes](), set[bytes]()
        first = True
        while words or first:
            for (file, name), content in list(contents.items()):
                if (first and may_have_one(file, content)) or any(word in content for word in words):
                    self._read(file, name, contents.pop((file, name)))
            first, words = (
                False,
                {each.name.rpartition(".")[2].encode() for each in self.functions()} - seen,
            )
            seen |= words

    def _read(self, file: Path, name: str, content: bytes) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of its escapes
                tree = ast.parse(content)
        except (SyntaxError, ValueError, RecursionError) as error:
            self.unread[file] = f"{type(error).__name__}: {error}"
            return
        module = Module(name, file, file.name == "__init__.py", tree)
        for node in ast.walk(tree):
            note_imports(node, module)
        for node in statements(tree.body):
            if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Name, ast.Attribute)):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        module.assigned[target.id] = dotted(node.value)
        for written in classes(tree.body, module):
            module.classes[f"{written.within}:{written.name}" if written.within else written.name] = (
                written
            )
        self.modules[name] = module

    def functions(self) -> list[Written]:
        """The classes that are Functions."""
        return [
            written
            for module in self.modules.values()
            for written in module.classes.values()
            if self._is_function(written, set())
        ]

    def _is_function(self, written: Written, seen: set[int]) -> bool:
        if id(written) in seen:
            return False
        seen.add(id(written))
        return any(
            name in ROOTS or (base is not None and self._is_function(base, seen))
            for name, base in self._bases(written)
        )

    def _bases(self, written: Written) -> Iterator[tuple[str, Written | None]]:
        for node in written.node.bases:
            name = dotted(node)
            if not name:
                continue
            beside = written.module.classes.get(f"{written.within}:{name}") if written.within else None
            yield self._resolve(written.module, name) if beside is None else (name, beside)

    def _resolve(self, module: Module, name: str, depth: int = 0) -> tuple[str, Written | None]:
        """What a name in a module stands for: in full, and the class, if it is one of the package."""
        if name in module.classes:
            return name, module.classes[name]
        if depth > DEEPEST:
            return name, None
        head, _, rest = name.partition(".")
        if head in module.assigned:
            other = module.assigned[head]
            return self._resolve(module, f"{other}.{rest}" if rest else other, depth + 1)
        if head in module.imported:
            other = module.imported[head]
            return self._elsewhere(f"{other}.{rest}" if rest else other, depth)
        for star in module.stars:
            if star in self.modules:
                found = self._resolve(self.modules[star], name, depth + 1)
                if found[1] is not None or found[0] in ROOTS:
                    return found
            elif f"{star}.{name}" in ROOTS:
                return f"{star}.{name}", None
        return name, None

    def _elsewhere(self, full: str, depth: int) -> tuple[str, Written | None]:
        """A name in full, in the module of the package that it is in."""
        if full in ROOTS:
            return full, None
        parts = full.split(".")
        for length in range(len(parts) - 1, 0, -1):
            module = self.modules.get(".".join(parts[:length]))
            if module is not None:
                return self._resolve(module, ".".join(parts[length:]), depth + 1)
        return full, None

    def _family(self, written: Written, seen: set[int]) -> Iterator[Written]:
        """A class and the bases of it that are the package's."""
        if id(written) in seen:
            return
        seen.add(id(written))
        yield written
        for _, base in self._bases(written):
            if base is not None:
                yield from self._family(base, seen)

    def describe(self, written: Written) -> Found:
        """What is said of a Function."""
        members: dict[str, ast.stmt] = {}
        modules: dict[str, Module] = {}
        for each in self._family(written, set()):
            for node in statements(each.node.body):
                for name in names_of(node):
                    members.setdefault(name, node)
                    modules.setdefault(name, each.module)
        has = [name for name in MEMBERS if name in members]
        backward, forward = members.get("backward"), members.get("forward")
        if isinstance(backward, ast.FunctionDef) and any(
            self._resolve(modules["backward"], dotted(node))[0].endswith("once_differentiable")
            for node in backward.decorator_list
        ):
            has.append("once_differentiable")
        has_setup_context = "setup_context" in members
        parameters: tuple[Parameter, ...] | None = None if forward is None else (Parameter("…"),)
        if isinstance(forward, ast.FunctionDef):
            is_classmethod = "classmethod" in map(dotted, forward.decorator_list)
            parameters = tuple(listed(forward.args))[is_classmethod + (not has_setup_context) :]
        return Found(
            written.module.name,
            written.name,
            written.module.file,
            written.node.lineno,
            has_setup_context,
            tuple(has),
            parameters,
            written.within,
        )


def may_have_one(file: Path, content: bytes) -> bool:
    """Whether a file is worth reading: it says so, or it may give names to others."""
    says_so = (b"autograd" in content and b"Function" in content) or NAMES_IT.search(content)
    return file.name == "__init__.py" or bool(says_so)


def note_imports(node: ast.AST, module: Module) -> None:
    """What an import statement gives names to."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            head = alias.name.partition(".")[0]
            module.imported[alias.asname or head] = alias.name if alias.asname else head
    elif isinstance(node, ast.ImportFrom):
        parts = module.name.split(".") if node.level else []
        up = node.level - 1 if module.is_package else node.level
        parts = parts[: len(parts) - up] if up else parts
        source = ".".join([*parts, *([node.module] if node.module else [])])
        for alias in node.names:
            if alias.name == "*":
                module.stars.append(source)
            else:
                module.imported[alias.asname or alias.name] = f"{source}.{alias.name}"


def statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Those of a module or of a class, also under ``if`` and ``try``, but not in functions."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            yield from statements(node.body)
            yield from statements(getattr(node, "orelse", []))
            yield from statements(getattr(node, "finalbody", []))
            for handler in getattr(node, "handlers", []):
                yield from statements(handler.body)


def classes(
    body: Iterable[ast.stmt], module: Module, outer: str = "", within: str = ""
) -> Iterator[Written]:
    """All class statements, those in classes and in functions too."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            name = f"{outer}{node.name}"
            yield Written(node, name, module, within)
            yield from classes(node.body, module, f"{name}.", within)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from classes(node.body, module, "", within or f"{outer}{node.name}")
        else:
            for inner in ("body", "orelse", "finalbody"):
                yield from classes(getattr(node, inner, []), module, outer, within)
            for handler in getattr(node, "handlers", []):
                yield from classes(handler.body, module, outer, within)


def names_of(node: ast.stmt) -> list[str]:
    """What a statement in a class's body gives names to."""
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def listed(arguments: ast.arguments) -> Iterator[Parameter]:
    """A function's parameters, in order."""
    places = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(places) - len(arguments.defaults)) + [*arguments.defaults]
    pairs = [
        *zip(places, defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    for argument, default in pairs:
        yield Parameter(argument.arg, source(argument.annotation), source(default))
        if argument is (places[-1] if places else None) and arguments.vararg:
            yield Parameter(f"*{arguments.vararg.arg}")
    if not places and arguments.vararg:
        yield Parameter(f"*{arguments.vararg.arg}")


def source(node: ast.expr | None) -> str:
    """An expression as it is written."""
    return "" if node is None else ast.unparse(node)


def dotted(node: ast.expr) -> str:
    """``a.b.c`` as a string; empty if it is something else. Of ``A[B]`` it is A."""
    if isinstance(node, ast.Subscript):
        return dotted(node.value)
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""
