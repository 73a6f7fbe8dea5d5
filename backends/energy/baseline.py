"""The arithmetic alone, as papers compare it: an ANN's multiplications, an SNN's additions.

An ANN of the same layers multiplies and accumulates once per synapse and inference; the spiking
network accumulates once per synaptic operation. Prices: 32-bit floating point in 45 nm at 0.9 V,
M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, figure 1.1.9:
addition 0.9 pJ, multiplication 3.7 pJ, so 4.6 pJ together. No memory access, control or leakage:
a GPU or CPU draws many times as much.
"""

from __future__ import annotations

from dataclasses import dataclass

from snncompile.backends.energy.result import Estimate
from snncompile.program import Program

MAC_PJ = 4.6
AC_PJ = 0.9
SOURCE = f"MAC {MAC_PJ} pJ, AC {AC_PJ} pJ: 32-bit floats in 45 nm, Horowitz, ISSCC 2014; no memory"


@dataclass(frozen=True)
class BaselineRow:
    """One layer, per inference."""

    layer: str
    macs: int
    """Multiplications of an ANN with these synapses, in one pass."""
    acs: float
    """Additions of the spiking network: its synaptic operations."""

    @property
    def ann_j(self) -> float:
        """Energy of the ANN's arithmetic."""
        return self.macs * MAC_PJ * 1e-12

    @property
    def snn_j(self) -> float:
        """Energy of the spiking network's arithmetic, on the same kind of chip."""
        return self.acs * AC_PJ * 1e-12


def compare_arithmetic(program: Program, estimate: Estimate) -> tuple[BaselineRow, ...]:
    """Return one row per layer."""
    rows = []
    for p in program.network.populations:
        macs = sum(q.synapses.wiring.synapses for q in program.network.into(p.name))
        own = [r for r in estimate.rows if r.layer == p.name and r.event.startswith("synaptic_op")]
        rows.append(BaselineRow(p.name, macs, sum(r.count or 0.0 for r in own)))
    return tuple(rows)
