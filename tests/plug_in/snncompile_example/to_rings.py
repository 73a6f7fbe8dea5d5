"""An emitter: the integer network of a Program as text, one line per ring."""

from __future__ import annotations

from pathlib import Path

from snncompile.program import Program
from snncompile_example.ring import Ring


def emit(program: Program, path: Path) -> None:
    """Write weights and neurons of every ring."""
    lines = [f"size {program.network.input.size}"]
    for p in program.network.projections:
        if isinstance(p.synapses.wiring, Ring):
            weights = " ".join(str(weight) for weight in p.synapses.weight.tolist())
            lines.append(f"{weights}    {program.network.population(p.target).neuron}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
