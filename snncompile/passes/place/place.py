"""Put the cores in use on the meshes of one chip or several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.sparse import coo_array, csr_array

from snncompile.cores import chip_rules
from snncompile.errors import InputError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.design import Design
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Site
from snncompile.passes.analysis.traffic import Flows, count_flows, measure_load, measure_rates
from snncompile.passes.base import Pass
from snncompile.passes.contracts import require_integers, require_slices
from snncompile.passes.place.assign_chips import assign_chips
from snncompile.passes.place.placements import PLACEMENTS, Slots


@dataclass(frozen=True)
class Place(Pass):
    """Put cores that send each other many spikes on tiles close to each other.

        core 0 -100 spikes-> core 5        ->      both on tile 0,0, the others around it

    Minimizes spikes times hops, one copy per (source neuron, destination core), with the rates of
    the calibration data; without data every neuron counts alike. The input's spikes come from the
    host, which joins the mesh at tile 0,0.

    Requires: slices, and no tables yet, which depend on the sites; sites from the partition, if
    any, are kept unless others are better.
    Ensures: every core in use has a site of its own on a mesh.
    """

    placement: str = "annealed"
    """`annealed` (begins with the best of the others), `bisection`, `greedy`, `linear` (tiles row
    by row in the order of the cores) or `random`."""

    name: ClassVar[str] = "place"

    def requires(self, design: Design) -> str:
        """Ask for slices, and no tables yet."""
        if lacks := require_integers(design) or require_slices(design):
            return lacks
        routed = design.mapping.tables.routes is not None
        return "cores without tables: run it before route" if routed else ""

    def ensures(self, before: Design, after: Design) -> str:
        """Promise one site for every core."""
        cores = sorted(site.core for site in after.mapping.sites)
        same = cores == sorted({s.core for s in after.mapping.slices})
        return "" if same else "that every core in use has one site"

    def __call__(self, design: Design) -> Design:
        """Fill the sites of the mapping."""
        network, chip, mapping = design.network, design.chip, design.mapping
        assert isinstance(network, IntegerNetwork)
        if self.placement not in PLACEMENTS:
            known = ", ".join(sorted(PLACEMENTS))
            raise InputError(f"no placement called {self.placement!r}; known: {known}")
        measured = count_flows(network, chip, mapping, measure_rates(network, design.calibration))
        own = chip_rules.list_sites(network, chip)
        placed = replace(mapping, sites=own or self._choose_sites(measured, chip, mapping.sites))
        load = measure_load(measured, placed.sites)
        message = (
            f"{'where each fits' if own else self.placement}, tiles in use: {placed.tiles};"
            f" per time step {load.hops:,.1f} spike hops,"
            f" {load.busiest_link:,.1f} over the busiest link"
        )
        if placed.chips > 1:
            message += f", {load.between_chips:,.1f} of {measured.total:,.1f} between chips"
        return self.done(design, message, mapping=placed)

    def _choose_sites(
        self, measured: Flows, chip: Chip, known: tuple[Site, ...]
    ) -> tuple[Site, ...]:
        """Return the sites of the partition unless annealing finds better ones."""
        annealed = find_sites(measured, chip, self.placement)
        if not known or self.placement != "annealed":
            return annealed
        return min(known, annealed, key=lambda at: measure_load(measured, at).hops)


def find_sites(flow: Flows, chip: Chip, placement: str) -> tuple[Site, ...]:
    """Return the site of every core."""
    graph, slots = count_pulls(flow), Slots.of(chip.mesh)
    on_chip = assign_chips(graph, len(slots.x), linear=placement == "linear")
    sites: list[Site] = []
    for number in range(int(on_chip.max(initial=-1)) + 1):
        cores = np.flatnonzero(on_chip == number)
        on_this = graph[cores][:, cores].tocsr()
        slot = PLACEMENTS[placement](on_this, slots, flow.from_host[cores])
        at = zip(cores.tolist(), slots.x[slot].tolist(), slots.y[slot].tolist(), strict=True)
        sites += [Site(core, x, y, number) for core, x, y in at]
    return tuple(sorted(sites, key=lambda site: site.core))


def count_pulls(flow: Flows) -> csr_array:
    """Return the spikes between each two cores, both ways together, as a symmetric matrix."""
    away = flow.drop_local()
    pairs = (np.concatenate([away.source, away.target]), np.concatenate([away.target, away.source]))
    twice = np.concatenate([away.spikes, away.spikes])
    graph = csr_array(coo_array((twice, pairs), shape=(flow.cores, flow.cores)))
    graph.sum_duplicates()
    return graph
