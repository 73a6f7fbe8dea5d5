"""Give every projection the delay that a synapse of the chip costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import networkx as nx

from snncompile.errors import UnsupportedError
from snncompile.ir.design import Design
from snncompile.ir.graph import Graph, Network, Population
from snncompile.passes.base import Pass
from snncompile.passes.contracts import (
    find_lost_population,
    find_wrong_delay,
    require_no_slices,
)
from snncompile.passes.timing.delay_relays import add_delay_relays
from snncompile.passes.timing.upsampled_grids import convolve_upsampled_grids


@dataclass(frozen=True)
class Retime(Pass):
    """Start populations one after the other, so that every projection has a delay of 1 or more.

        input -> a -> b, input -> b        ->      input -1-> a -1-> b, input -2-> b
        (all within one time step)                 a starts in step 1, b in step 2

    As retiming in circuits (Leiserson and Saxe, 1991): the smallest phases with
    phase(target) - phase(source) + own delay >= 1 for every projection are longest paths from the
    input; the projection's delay on the chip is that sum. Synapses that learn work one step before
    their target, which therefore starts in step 1 or later. A population without projections into
    it starts as late as its targets allow. Spikes are those of the source network, shifted by the
    phase.

    Where a delay is longer than the chip's, relay populations pass spikes or numbers on; see
    `delay_relays.py` and `relay_neurons.py`. So they do where a transposed convolution is too large
    to be listed; see `upsampled_grids.py`.

    Requires: a network that is not cut yet.
    Ensures: every delay is 1 or more and no longer than the chip's; own delays are unchanged, so
    are all spikes.
    """

    name: ClassVar[str] = "retime"

    def requires(self, design: Design) -> str:
        """Ask for a network that is not cut yet."""
        return require_no_slices(design)

    def ensures(self, before: Design, after: Design) -> str:
        """Promise delays of the chip, and that every population is still there."""
        wrong = find_wrong_delay(after.network, after.chip)
        lost = find_lost_population(before.network, after.network)
        if wrong:
            return f"delays of 1 or more and no longer than the chip's: {wrong}"
        return f"that every population stays: {lost}" if lost else ""

    def __call__(self, design: Design) -> Design:
        """Set phases and delays."""
        network = design.network
        if isinstance(network, Network):
            network = convolve_upsampled_grids(network, design.chip)
        phases = _delay_sources(network, _find_earliest(network))
        delays = {
            id(p): network.own_delay(p) + phases[p.target] - phases[p.source]
            for p in network.projections
        }
        populations = tuple(replace(p, phase=phases[p.name]) for p in network.populations)
        projections = tuple(replace(p, delay=delays[id(p)]) for p in network.projections)
        retimed = replace(network, populations=populations, projections=projections)
        last = max(phases.values())
        message = f"{network.output} starts in step {phases[network.output]} of {last}"
        longest = max(delays.values(), default=1)
        if longest > 1:
            message += f", longest delay {longest}"
        complete = add_delay_relays(retimed, design.chip)
        before = {p.name for p in design.network.populations}
        relays = [p for p in complete.populations if p.name not in before]
        if relays:
            message += (
                f", {sum(p.size for p in relays):,} relay neurons in {len(relays)} populations"
            )
        return self.done(design, message, network=complete)


def _find_earliest(network: Graph) -> dict[str, int]:
    """Return the smallest phases: longest paths, computed as shortest paths of negated lengths."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    learn = {p.target for p in network.plastic}
    for population in network.populations:
        length = -1 if population.name in learn else 0
        graph.add_edge(network.input.name, population.name, length=length)
    for p in network.projections:
        length = network.own_delay(p) - 1
        known = graph.get_edge_data(p.source, p.target, {}).get("length", length)
        graph.add_edge(p.source, p.target, length=min(length, known))
    try:
        lengths = nx.single_source_bellman_ford_path_length(
            graph, network.input.name, weight="length"
        )
    except nx.NetworkXUnbounded:
        loop = nx.find_negative_cycle(graph, network.input.name, weight="length")
        raise _explain_loop(network, loop) from None
    return {name: -int(length) for name, length in lengths.items()}


def _explain_loop(network: Graph, loop: list[str]) -> UnsupportedError:
    hops = list(pairwise(loop))
    delay = sum(
        min(network.own_delay(p) for p in network.projections if (p.source, p.target) == hop)
        for hop in hops
    )
    return UnsupportedError(
        f"loop {' -> '.join(loop)} has a delay of {delay} over {len(hops)} projections; every"
        f" projection of the chip takes one step: give the loop a delay of {len(hops)} or more"
    )


def _delay_sources(network: Graph, phases: dict[str, int]) -> dict[str, int]:
    late = dict(phases)
    for population in network.populations:
        if not network.into(population.name):
            late[population.name] = _find_latest(network, population, phases)
    return late


def _find_latest(network: Graph, population: Population, phases: dict[str, int]) -> int:
    return min(
        (phases[p.target] + network.own_delay(p) - 1 for p in network.out_of(population.name)),
        default=phases[population.name],
    )
