"""What every pass is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from snncompile.ir.design import Design


@dataclass(frozen=True)
class Pass(ABC):
    """One step: takes a design, returns a new one, changes nothing in place.

    Options are dataclass fields, so `repr(a_pass)` is a complete record of what ran. A pass adds
    one line to the log: what it did, or why it had nothing to do.
    """

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, design: Design) -> Design:
        """Return the design after this step."""

    def done(self, design: Design, what: str, **changes: Any) -> Design:
        """Return the design with the changes and a line in its log."""
        return replace(design, **changes, log=(*design.log, f"{self.name}: {what}"))
