"""Copies of modules that share their records."""

from __future__ import annotations

from copy import deepcopy
from typing import Any


def copy_sharing(module: Any, names: tuple[str, ...], memo: dict[int, Any]) -> Any:
    """Return a copy of a module that shares its records, whose identity has meaning."""
    memo |= {id(getattr(module, name)): getattr(module, name) for name in names}
    copied = module.__class__.__new__(module.__class__)
    memo[id(module)] = copied
    copied.__dict__ |= deepcopy(module.__dict__, memo)
    return copied
