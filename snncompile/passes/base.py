"""The base class of all passes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from snncompile.ir.design import Design


@dataclass(frozen=True)
class Pass(ABC):
    """One step: takes a design, returns a new one, changes nothing in place.

    Options are dataclass fields, so `repr(a_pass)` is a complete record of what ran. A pass adds
    one line to the log: what it did, or why it had nothing to do. Its contract is two methods,
    which `Pipeline.run` calls before and after it; both are cheap.
    """

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, design: Design) -> Design:
        """Return the design after this step."""

    def requires(self, design: Design) -> str:
        """Return what the design lacks and the pass that adds it; empty if it lacks nothing."""
        return ""

    def ensures(self, before: Design, after: Design) -> str:
        """Return the promise that the pass broke; empty if it kept all."""
        return ""

    def done(self, design: Design, message: str, **changes: Any) -> Design:
        """Return the design with the changes and a line in its log."""
        return replace(design, **changes, log=(*design.log, f"{self.name}: {message}"))
