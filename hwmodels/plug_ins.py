"""Chips and encodings that other packages bring, read from the entry points they install.

A row of `snncompile.chips` is `name = package:ATTRIBUTE`; the attribute is the path of a chip file
or a Chip. The rows of `snncompile.chip_rules` are known encodings.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import entry_points

CHIPS = "snncompile.chips"
CHIP_RULES = ("snncompile.chip_rules", "snncompile.fits")
"""Groups of rules for encodings; the second is the name of the release before."""


def list_rows(group: str) -> list[tuple[str, str]]:
    """Return (name, value) of every entry point of a group, sorted."""
    return list(_scan(group, tuple(sys.path)))


def list_encodings() -> list[str]:
    """Return the encodings for which other packages have rules, sorted."""
    return sorted({name for group in CHIP_RULES for name, _ in list_rows(group)})


@lru_cache(maxsize=32)
def _scan(group: str, path: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the rows that packages on the path have; looking for them takes milliseconds."""
    return tuple(sorted((point.name, point.value) for point in entry_points(group=group)))
