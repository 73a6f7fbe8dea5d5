"""Files of an estimate: trace, tables, SANA-FE's files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from numpy.typing import ArrayLike

from snncompile.backends.energy import export, trace
from snncompile.backends.energy.result import Estimate, format_lacking
from snncompile.backends.sanafe import export as sanafe
from snncompile.errors import InputError
from snncompile.program import Program
from snncompile.reference.simulate import check_spikes


@dataclass(frozen=True)
class Outputs:
    """Paths to write to; None: not written."""

    trace: Path | None = None
    csv: Path | None = None
    steps_csv: Path | None = None
    parquet: Path | None = None
    steps_parquet: Path | None = None
    sanafe: Path | None = None

    def write(self, program: Program, x: ArrayLike, estimate: Estimate) -> Iterator[str]:
        """Write the files with a path; yield one line per file about its content."""
        if self.trace:
            if estimate.latency_s is None:
                raise InputError(
                    f"{estimate.chip}: cost set {estimate.costs} has no times, which a trace shows;"
                    " take another cost set or chip"
                )
            steps = trace.write_trace(self.trace, program, x, costs=estimate.costs)
            lacking = format_lacking(estimate.untimed)
            yield f"{self.trace}: {steps} of {estimate.steps} time steps{lacking}"
        for path, columns, kind in (
            (self.csv, export.list_events, "csv"),
            (self.steps_csv, export.list_steps, "csv"),
            (self.parquet, export.list_events, "parquet"),
            (self.steps_parquet, export.list_steps, "parquet"),
        ):
            if path:
                export.write_table(path, columns(estimate), kind)  # type: ignore[arg-type]
                yield str(path)
        if self.sanafe:
            first = check_spikes(program.network, x)[:1]
            steps = sanafe.write_sanafe(self.sanafe, program, first, costs=estimate.costs)
            yield f"{self.sanafe}: architecture.yaml and network.yaml, for {steps} time steps"
