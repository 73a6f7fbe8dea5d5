"""Everything an estimate can be written to: trace, tables, SANA-FE's files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import ArrayLike

from snncompile.backends.energy import export, trace
from snncompile.backends.energy.result import Estimate
from snncompile.backends.sanafe import export as sanafe
from snncompile.program import Program
from snncompile.reference.simulate import check_spikes


@dataclass(frozen=True)
class Outputs:
    """Where to write; None: not asked for."""

    trace: Path | None = None
    csv: Path | None = None
    parquet: Path | None = None
    sanafe: Path | None = None

    def write(self, program: Program, x: ArrayLike, found: Estimate) -> Iterator[str]:
        """Write what is asked for; yield one line per file about what is in it."""
        if self.trace:
            steps = trace.write(self.trace, program, x, costs=found.costs)
            yield f"{self.trace}: {steps} of {found.steps} time steps"
        if self.csv:
            yield from map(str, export.write(self.csv, found, "csv"))
        if self.parquet:
            yield from map(str, export.write(self.parquet, found, "parquet"))
        if self.sanafe:
            first = check_spikes(program.network, x)[:1]
            steps = sanafe.write(self.sanafe, program, first, costs=found.costs)
            yield f"{self.sanafe}: architecture.yaml and network.yaml, for {steps} time steps"
