"""Spikes times hops and the busiest link, by placement; one copy per (neuron, destination core).

    python benchmarks/mapping_traffic.py

"One population per core" is how other mappers fill a chip: every piece of a layer has a core of its
own. Every neuron spikes once per time step.
"""

from __future__ import annotations

import large
from rich.console import Console
from rich.table import Table

from snncompile.hwmodels import load as chips
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.passes.partition import Partition
from snncompile.passes.place import sites
from snncompile.passes.placements import PLACEMENTS
from snncompile.passes.traffic import flows, load, rates

NETWORKS = (
    (large.mnist_cnn, "loihi1"),
    (large.resnet20, "loihi2"),
)


def main() -> None:
    """Print the table."""
    table = Table(title="spikes times hops per time step", title_justify="left")
    for column in ("network", "chip", "slices", "cores", "placement", "spike hops"):
        table.add_column(column, justify="right" if column in ("cores", "spike hops") else "left")
    for column in ("below linear", "below linear, one per core", "busiest link"):
        table.add_column(column, justify="right")
    for make, chip in NETWORKS:
        network = make()
        worst = _rows(table, network, chip, share=False, reference=None)
        _rows(table, network, chip, share=True, reference=worst)
        table.add_section()
    Console(width=160).print(table)


def _rows(
    table: Table, network: IntegerNetwork, chip_name: str, *, share: bool, reference: float | None
) -> float:
    """Add one row per placement; return the spike hops of the linear one."""
    chip = chips.load(chip_name)
    mapping = Partition(share=share)(Design(network, chip)).mapping
    flow = flows(network, chip, mapping, rates(network, None))
    found = {name: load(flow, sites(flow, chip, name)) for name in PLACEMENTS}
    linear = found["linear"].hops
    for name, placed in found.items():
        table.add_row(
            network.title,
            chip_name,
            "share cores" if share else "one population per core",
            str(mapping.cores),
            name,
            f"{placed.hops:,.0f}",
            f"{1 - placed.hops / linear:.0%}",
            f"{1 - placed.hops / (reference or linear):.0%}",
            f"{placed.busiest_link:,.0f}",
        )
    return linear


if __name__ == "__main__":
    main()
