"""What a backend that runs Programs must offer; its module is a row of the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import ArrayLike, NDArray

from snncompile.ir.graph import IntegerNetwork, Progress
from snncompile.ir.result import Result

if TYPE_CHECKING:
    from snncompile.program import Program


class Backend(Protocol):
    """Two functions: the output alone, and the output of every population."""

    def run(
        self,
        program: Program,
        x: ArrayLike,
        *,
        progress: Progress | None = None,
        timeout_s: float | None = None,
    ) -> Result:
        """Return the output for x of shape (samples, steps, *input.shape)."""

    def spike_trains(
        self,
        network: IntegerNetwork,
        x: ArrayLike,
        *,
        progress: Progress | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the output of every population in its own steps, shape (samples, steps, size)."""
