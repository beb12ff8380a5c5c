"""The settings of `ansnet.testing.check`, looked at: what is tried, within which bounds, and where."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

import torch

from ansnet.testing.capabilities import CAPABILITIES, COMPILED
from ansnet.testing.sample import describe
from ansnet.testing.specification import BY_NAME

SHOWN = 100  # characters of what was given
LONGEST = 1_000_000  # seconds: eleven days
SEEDS = -(2**63), 2**63 - 1
USUAL = ("inductor", "aot_eager", "eager")  # known without loading the compiler, which takes seconds


def shown(given: Any) -> str:
    """What was given, in one line that is not long."""
    text = " ".join(describe(given).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


def nearest(name: str, known: Iterable[str], otherwise: str) -> str:
    """What may have been meant by a name that is not known, or what else to do."""
    found = get_close_matches(name, list(known), n=1)
    return f"did you mean {found[0]!r}?" if found else otherwise


def as_capabilities(given: Iterable[str] | str | None) -> tuple[str, ...]:
    """The capabilities to try, each once; all of them for None.

    Raises:
        TypeError: it is no list of names.
        ValueError: there is no name in it, or no capability of one of the names.
    """
    if given is None:
        return tuple(CAPABILITIES)
    names = listed("only", given, "a capability's name or a list of them, as ['gradcheck', 'vmap']")
    if not names:
        raise ValueError(
            "only is empty, so that nothing would be tried: name capabilities, or leave it out for all"
        )
    return tuple(dict.fromkeys(known("only", name) for name in names))


def known(what: str, name: Any) -> str:
    """The name of a capability.

    Raises:
        TypeError: it is no name.
        ValueError: there is none of this name.
    """
    if not isinstance(name, str):
        raise TypeError(f"{what} takes the names of capabilities, as 'gradcheck', got {shown(name)}")
    if name not in CAPABILITIES:
        plain = " ".join(name.replace("-", " ").replace("_", " ").lower().split())
        hint = nearest(plain, CAPABILITIES, f"choose from {', '.join(CAPABILITIES)}")
        if "," in name:
            hint = f"write several as a list, as {[each.strip() for each in name.split(',')]}"
        raise ValueError(f"{what} has the unknown capability {shown(name)}: {hint}")
    return name


def as_reasons(what: str, given: Mapping[str, str] | None) -> dict[str, str]:
    """Capabilities, each with its reason.

    Raises:
        TypeError: it is no dict of names and texts.
        ValueError: there is no capability of one of the names, or a reason is empty.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(
            f"{what} must be a dict of capabilities and reasons, as {{'vmap': 'it draws numbers'}}, "
            f"got {shown(given)}"
        )
    for name, reason in given.items():
        known(what, name)
        if not isinstance(reason, str):
            raise TypeError(f"{what} takes the reason for {name!r} as a text, got {shown(reason)}")
        if not reason.strip():
            raise ValueError(f"{what} has no reason for {name!r}: write why, in a few words")
    return dict(given)


def as_seed(given: Any) -> int:
    """A whole number that PyTorch's generators can be seeded with.

    Raises:
        TypeError: it is no whole number.
        ValueError: it is too large.
    """
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise TypeError(f"seed must be a whole number, as 0, got {shown(given)}")
    least, most = SEEDS
    if not least <= int(given) <= most:
        raise ValueError(
            f"seed must be from -2**63 to 2**63 - 1, got {shown(given)}: take a smaller one"
        )
    return int(given)


def as_tolerance(what: str, given: Any) -> float | None:
    """By how much numbers may differ; None stays None.

    Raises:
        TypeError: it is no number.
        ValueError: it is below 0, or not finite.
    """
    if given is None:
        return None
    if not is_number(given):
        raise TypeError(f"{what} must be a number, as 1e-6, or None, got {shown(given)}")
    if not 0 <= given <= sys.float_info.max:
        raise ValueError(f"{what} must be a finite number, 0 or above, got {shown(given)}")
    return float(given)


def as_seconds(given: Any) -> float:
    """For how long a row may be waited for.

    Raises:
        TypeError: it is no number.
        ValueError: it is not above 0, or above `LONGEST`.
    """
    if not is_number(given):
        raise TypeError(
            f"timeout must be a number of seconds, got {shown(given)}: leave it out for the usual one, "
            f"or give as many as {LONGEST}"
        )
    if not 0 < given <= LONGEST:
        raise ValueError(
            f"timeout must be a number of seconds above 0, {LONGEST} at most, got {shown(given)}"
        )
    return float(given)


def is_number(given: Any) -> bool:
    """Whether it is a real number; True and False are none here."""
    return isinstance(given, Real) and not isinstance(given, bool)


def as_devices(given: Iterable[torch.device | str] | None) -> tuple[torch.device, ...] | None:
    """The devices by name, without repetition.

    Raises:
        TypeError: one is not a device or its name.
        ValueError: there is none, or one is not there.
    """
    if given is None:
        return None
    expected = "the name of a device or a list of them, as ['cuda']"
    named = [given] if isinstance(given, torch.device) else listed("devices", given, expected)
    if not named:
        raise ValueError("devices is empty: name those on which it is to work, or leave it out")
    devices = []
    for name in named:
        if not isinstance(name, (str, torch.device)):
            raise TypeError(f"devices takes names, as 'cuda' or 'cuda:1', got {shown(name)}")
        try:
            device = torch.empty(0, device=name).device
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"devices={str(name)!r} is not on this machine: {reason}") from None
        if device.type == "meta":
            raise ValueError(
                "devices='meta' holds no numbers to compare: leave it out, since the capability 'meta' "
                "tries it"
            )
        devices.append(device)
    return tuple(dict.fromkeys(devices))


def as_dtypes(given: Iterable[torch.dtype | str] | None) -> tuple[torch.dtype, ...] | None:
    """The dtypes in which a function works, without repetition; a name as in samples is one, too.

    Raises:
        TypeError: one is not a dtype.
        ValueError: there is none, one is not of floating point, or there is none of its name.
    """
    if given is None:
        return None
    expected = "a dtype or a list of them, as [torch.float64]"
    named = [given] if isinstance(given, torch.dtype) else listed("dtypes", given, expected)
    dtypes = tuple(dict.fromkeys(as_dtype(each) for each in named))
    if not dtypes:
        raise ValueError("dtypes is empty: name those in which the function works, or leave it out")
    for dtype in dtypes:
        if not dtype.is_floating_point:
            raise ValueError(
                f"dtypes takes dtypes of floating point, got {dtype}: complex numbers follow"
            )
    return dtypes


def as_dtype(given: Any) -> torch.dtype:
    """A dtype, or the one of a name.

    Raises:
        TypeError: it is neither.
        ValueError: there is none of this name.
    """
    if isinstance(given, str):
        name = given.removeprefix("torch.")
        if name not in BY_NAME:
            hint = nearest(name, BY_NAME, f"known are {', '.join(BY_NAME)}")
            raise ValueError(f"dtypes has the unknown dtype {shown(given)}: {hint}")
        return BY_NAME[name]
    if not isinstance(given, torch.dtype):
        raise TypeError(f"dtypes takes torch.float64 and the like, got {shown(given)}")
    return given


def as_backend(given: Any, capabilities: Collection[str]) -> Any:
    """What `torch.compile` is to compile with: the name of a backend, or a function that is one.

    Args:
        given: what is looked at.
        capabilities: what is to be tried; only where something is compiled is a name looked up.

    Raises:
        TypeError: it is neither.
        ValueError: `torch.compile` knows no backend of this name.
    """
    if not isinstance(given, str):
        if callable(given):
            return given
        raise TypeError(
            "backend must be the name of a backend of torch.compile, as 'aot_eager', or a function "
            f"that is one, got {shown(given)}"
        )
    if given in USUAL or COMPILED.isdisjoint(capabilities):
        return given
    import torch._dynamo

    backends = torch._dynamo.list_backends(exclude_tags=())
    if given not in backends:
        usual = ", ".join(torch._dynamo.list_backends())  # but for those that look for faults
        hint = nearest(given, backends, f"it knows {usual}")
        raise ValueError(f"backend {shown(given)} is unknown to torch.compile: {hint}")
    return given


def assert_isolated(given: Any) -> None:
    """Whether rows are tried apart is said by True, False or None.

    Raises:
        TypeError: it is none of these.
    """
    if given is not None and not isinstance(given, bool):
        raise TypeError(
            f"isolated must be True, False, or None for where that can be, got {shown(given)}"
        )


def assert_progress(given: Callable[..., object] | None) -> None:
    """What is called with each row can be called.

    Raises:
        TypeError: it cannot.
    """
    if given is not None and not callable(given):
        raise TypeError(
            f"progress must be a function that is called with each row, or None, got {shown(given)}"
        )


def listed(what: str, given: Any, expected: str) -> list[Any]:
    """What was given as a list; a name alone is a list of one.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(given, str):
        return [given]
    try:
        return list(given)
    except TypeError:
        raise TypeError(f"{what} must be {expected}, got {shown(given)}") from None
