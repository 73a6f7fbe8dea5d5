"""Old names that keep working for one release, each with a DeprecationWarning."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast
from warnings import warn

F = TypeVar("F", bound=Callable[..., Any])
LAST = "0.1"
"""Release in which old names still work."""


def accept_old_names(**renamed: str) -> Callable[[F], F]:
    """Let a function take keyword arguments under their old names: `old="new"`."""

    def decorate(function: F) -> F:
        @wraps(function)
        def call(*args: Any, **keywords: Any) -> Any:
            return function(*args, **translate_names(function.__name__, keywords, renamed))

        return cast(F, call)

    return decorate


def translate_names(
    where: str, keywords: Mapping[str, Any], renamed: Mapping[str, str]
) -> dict[str, Any]:
    """Return keyword arguments by their current names; called by the function the user calls.

    Raises:
        TypeError: an argument is given under both names.
    """
    current = dict(keywords)
    for old, new in renamed.items():
        if old not in current:
            continue
        if new in current:
            raise TypeError(f"{where}() got {old} and {new}, which are two names of one argument")
        warn(f"{where}: {describe_renaming(old, new)}", DeprecationWarning, stacklevel=3)
        current[new] = current.pop(old)
    return current


def describe_renaming(old: str, new: str) -> str:
    """Return the warning about an old name."""
    return f"{old} is called {new} now; {LAST} is the last release that knows the old name"


def make_getattr(module: str, **renamed: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module that accepts old names: `old="new"`."""

    def get(name: str) -> Any:
        if name not in renamed:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn(
            f"{module}: {describe_renaming(name, renamed[name])}", DeprecationWarning, stacklevel=2
        )
        return getattr(sys.modules[module], renamed[name])

    return get


class OldAttribute:
    """An attribute under its old name: `old = OldAttribute("new")`."""

    def __init__(self, new: str) -> None:
        self.new, self.old = new, ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.old = f"{owner.__name__}.{name}"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Return the attribute's value, with a warning; on the class, this descriptor."""
        if instance is None:
            return self
        warn(describe_renaming(self.old, self.new), DeprecationWarning, stacklevel=2)
        return getattr(instance, self.new)
