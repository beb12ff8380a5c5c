"""`ansnet.scanning.source` and `files`: which classes are found, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansnet.scanning.files import NoPackageError, locate
from ansnet.scanning.source import Found, search

SOURCES = {
    "__init__.py": "from .bases import Base as Exported\nfrom .stars import *\n",
    "direct.py": """
import torch
import torch.autograd as ag
import torch.autograd.function
from torch import autograd
from torch.autograd import Function, Function as F
from torch.autograd.function import InplaceFunction, once_differentiable

Alias = torch.autograd.Function
Again = Alias


class A(torch.autograd.Function): pass
class B(ag.Function): pass
class C(autograd.Function): pass
class D(Function): pass
class E(F): pass
class G(InplaceFunction): pass
class H(torch.autograd.function.Function): pass
class I(Again): pass
class J(object, Alias): pass


class NoFunction: pass
class Other(NoFunction): pass
class Function2(torch.nn.Module): pass


class Outer(torch.nn.Module):
    class Inner(torch.autograd.Function): pass


try:
    import nothing_there
except ImportError:
    class K(Function): pass


def make(factor):
    class Local(Function):
        @staticmethod
        def forward(ctx, x): return x * factor
    class Next(Local): pass
    return Local
""",
    "bases.py": """
from __future__ import annotations
import torch


class Base(torch.autograd.Function):
    @staticmethod
    def setup_context(ctx, inputs, output): pass

    @staticmethod
    def jvp(ctx, *tangents): pass


class Generic(torch.autograd.Function): pass
""",
    "indirect.py": """
from mypackage import Exported
from mypackage.bases import Generic
from . import bases, starred
from .bases import *
from torch.autograd.function import once_differentiable as once
import mypackage.bases


class L(Exported):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, weight: "Tensor", bias=None, *, stride: int = 1): return x

    @staticmethod
    @once
    def backward(ctx, g): return g


class M(L):
    @staticmethod
    def vmap(info, in_dims, *args): pass


class N(bases.Base): pass
class O(Base):
    @classmethod
    def forward(cls, x, *rest): return x
class P(mypackage.bases.Base): pass
class Q(Generic[int]):
    @staticmethod
    def forward(ctx, x): return x
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g): return g
class R(starred): pass
""",
    "stars.py": "from torch.autograd import *\n\n\nclass S(Function): pass\n",
    "deeper/__init__.py": "",
    "deeper/last.py": "from ..indirect import M as Middle\nfrom .. import S\n"
    "class T(Middle): pass\nclass U(S): pass\n",
    "wrong.py": "from torch.autograd import Function\nclass V(Function) pass\n",
    "unread.py": "import math\n",
    "tests/test_it.py": "import torch\nclass W(torch.autograd.Function): pass\n",
    "cycle.py": "import torch.autograd\nfrom .cycle import X\nclass X(X): pass\n"
    "Function = Function\nclass Y(Function): pass\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "mypackage"
    for name, text in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def found(package: Path) -> dict[str, Found]:
    return {each.name: each for each in search(locate(str(package)))[0]}


def test_which_are_found(found: dict[str, Found]) -> None:
    direct = ["A", "B", "C", "D", "E", "G", "H", "I", "J", "Outer.Inner", "K", "Local", "Next"]
    assert set(found) == {*direct, "Base", "Generic", *"LMNOPQSTU"}
    assert found["T"].module == "mypackage.deeper.last"
    assert found["Base"].line == 6
    assert found["A"].file.name == "direct.py"


def test_what_is_said_of_them(found: dict[str, Found]) -> None:
    assert found["L"].signature == "L(x, weight, bias=None, stride=1)"
    assert found["L"].style == "setup_context, jvp, generate_vmap_rule, once_differentiable"
    weight = found["L"].parameters[1]  # type: ignore[index]
    assert weight.annotation == "'Tensor'"
    assert found["M"].style == "setup_context, jvp, vmap, generate_vmap_rule, once_differentiable"
    assert found["O"].signature == "O(x, *rest)"
    assert found["Q"].signature == "Q(x)"
    assert found["Q"].style == "ctx in forward, once_differentiable"
    assert found["Generic"].parameters is None
    assert found["Local"].within == "make"
    assert found["Next"].signature == "Next(x)"
    assert found["Outer.Inner"].within == ""


def test_a_file_that_cannot_be_read_is_named(package: Path) -> None:
    (file,) = search(locate(str(package)))[1].items()
    assert file[0].name == "wrong.py"
    assert file[1].startswith("SyntaxError: ")


def test_where_a_package_is_found(
    package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = {each.name for each in search(locate(str(package)))[0]}
    monkeypatch.chdir(tmp_path)
    for what in ("mypackage", "./mypackage", "mypackage/"):
        assert {each.name for each in search(locate(what))[0]} == whole
    assert locate("mypackage").root == tmp_path
    one = locate("mypackage/indirect.py")
    assert one.files == ((package / "indirect.py", "mypackage.indirect"),)
    assert locate("mypackage.deeper").name == "mypackage.deeper"
    assert [each.name for each in search(locate("mypackage.stars"))[0]] == ["S"]
    loose = tmp_path / "loose"
    loose.mkdir()
    (loose / "ops.py").write_text(SOURCES["stars.py"])
    assert [each.module for each in search(locate("loose/"))[0]] == ["ops"]
    for what, told in (
        ("nowhere", "there is no package, folder or file 'nowhere'"),
        ("./nowhere", "there is no package, folder or file './nowhere'"),
        ("mypackage.nothing", "there is no package"),
        ("math", "math is no package of Python files"),
        ("sys", "sys is no package of Python files, but a part of Python itself"),
        ("", "there is no package"),
    ):
        with pytest.raises(NoPackageError, match=told):
            locate(what)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoPackageError, match="there is no file of Python"):
        locate("./empty")


def test_the_name_of_a_distribution_will_do() -> None:
    """Nothing is imported for it."""
    assert locate("pytest-xdist").files[0][1] == "xdist"
