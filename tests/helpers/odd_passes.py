"""Passes that do nothing but have every type of option, or break their contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from snncompile.passes.base import Pass


@dataclass(frozen=True)
class Every(Pass):
    """Do nothing, with an option of every type.

    Requires: nothing.
    Ensures: nothing.
    """

    number: int = 1
    share: float = 0.5
    on: bool = True
    word: str = "a"
    kind: Literal["small", "large"] = "small"
    steps: int | None = None
    title: str | None = None

    name: ClassVar[str] = "every"

    def __call__(self, design):
        return self.done(design, "nothing")


@dataclass(frozen=True)
class Broken(Every):
    """Raise an error, or lack or break something."""

    raises: Exception | None = None
    lacks: str = ""
    breaks: str = ""

    name: ClassVar[str] = "broken"

    def __call__(self, design):
        if self.raises:
            raise self.raises
        return self.done(design, "nothing")

    def requires(self, design):
        return self.lacks

    def ensures(self, before, after):
        return self.breaks
