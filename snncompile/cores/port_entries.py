"""Axon entries of slices as Intel's compiler for Loihi 2 counts them.

    input entries      of a convolution: pieces of the core's channels; else: all sources of the
                       projection, also those whose synapses are all on other cores
    output entries     to a convolution: pixels of the slice times pieces of its channels, 1 of the
                       channels of an image's neurons that nothing feeds; to other synapses and
                       off the chip: one per neuron, whatever they reach

Every projection that leaves a population, and the host where it is the output, is a port. Source:
core tables of Intel's compiler, see `tables` in `hwmodels/loihi2.yaml`.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

from snncompile.cores.headed_rows import KernelRows, count_pieces
from snncompile.cores.synapses_of_slice import Demand
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, Projection
from snncompile.ir.mapping import Slice
from snncompile.synapses.base import Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange, find_image

CHANNELS_OF_AN_INPUT = 3
"""Channels that are one piece where nothing feeds them; of more there is no table."""


def count_input_entries(demand: Demand) -> int:
    """Return the input entries of a projection's synapses into a slice."""
    if isinstance(demand.reach.rows, KernelRows):
        return count_pieces(demand.reach.rows.channels)
    return count_sources(demand.projection.synapses.wiring.plain)


@lru_cache(maxsize=4096)
def count_sources(wiring: Wiring) -> int:
    """Return the sources with a synapse."""
    if isinstance(wiring, Dense | Scale):
        return wiring.sources
    return len(np.unique(wiring.pattern.indices))


def count_output_entries_of_slice(network: Graph, s: Slice) -> int:
    """Return the output entries of a slice, of all its ports."""
    ports = sum(count_port_entries(network, p, s) for p in network.out_of(s.population))
    return ports + s.size * (s.population == network.output)


def count_port_entries(network: Graph, projection: Projection, s: Slice) -> int:
    """Return the output entries of a slice for one projection out of its population."""
    wiring = projection.synapses.wiring
    if isinstance(wiring.plain, Convolution):
        return _count_image_entries(network, projection, s)
    if isinstance(wiring, SourceRange):
        neurons = s.neurons()
        return int(np.count_nonzero((neurons >= wiring.first) & (neurons < wiring.stop)))
    return s.size


def _count_image_entries(network: Graph, projection: Projection, s: Slice) -> int:
    """Return pixels times pieces of channels; one per neuron of a slice that is no box of them."""
    image = find_image(projection.synapses.wiring)
    if image is None or s.shape != image[0]:
        return s.size
    source = projection.synapses.wiring.plain
    assert isinstance(source, Convolution)
    first, count = image[1], source.source_shape[0]
    channels = max(0, min(s.stop[0], first + count) - max(s.start[0], first))
    is_input = not network.into(s.population) and channels <= CHANNELS_OF_AN_INPUT
    return prod(s.extent[1:]) * (min(channels, 1) if is_input else count_pieces(channels))


def sends_to_convolution(network: Graph, population: str) -> bool:
    """Whether a population sends to kernels, or one to one, which takes axon memory."""
    wirings = (p.synapses.wiring.plain for p in network.out_of(population))
    return any(isinstance(wiring, Convolution | Scale) for wiring in wirings)


def count_axon_memory(network: Graph, chip: Chip, s: Slice) -> int:
    """Return the words of axon memory of a slice."""
    assert chip.headed_rows is not None
    words = chip.headed_rows.convolution_axon_memory.whole or 0
    return words if sends_to_convolution(network, s.population) else 0
