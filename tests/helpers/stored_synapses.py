"""Every synapse of every core written out one by one, as its tables say; for small networks."""

from __future__ import annotations

import numpy as np

from snncompile.checker.wiring_reach import order_neurons
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping
from snncompile.synapses.base import IntegerSynapses

Synapse = tuple[int, int, int, int]
"""(source neuron, target neuron, weight, delay in steps)."""


def list_stored_synapses(network: IntegerNetwork, mapping: Mapping) -> dict[int, list[Synapse]]:
    """Return the synapses that spikes reach over the axons, by number of their projection.

    What arrives counts: for every route, for every neuron of the slice that it starts at, the rows
    of all blocks of memory behind the input axon.
    """
    synapses_of: dict[int, list[Synapse]] = {}
    for number, axons in enumerate(mapping.tables.axons):
        arriving = _list_senders(network, mapping, number)
        for i in axons.memory:
            block = mapping.tables.memory[i]
            synapses = network.projections[block.projection].synapses
            assert isinstance(synapses, IntegerSynapses)
            rows = synapses.wiring.matrix(synapses.weight.astype(np.int64))
            targets = order_neurons(mapping.slices[block.slice])
            reached = rows[targets][:, arriving].tocoo()
            synapses_of.setdefault(block.projection, []).extend(
                zip(
                    arriving[reached.col].tolist(),
                    targets[reached.row].tolist(),
                    reached.data.tolist(),
                    [block.delay] * len(reached.data),
                    strict=True,
                )
            )
    return synapses_of


def _list_senders(network: IntegerNetwork, mapping: Mapping, number: int) -> np.ndarray:
    """Return the neurons whose spikes come in over a block of axons, one for each route."""
    axons = mapping.tables.axons[number]
    sources = axons.region.neurons()
    if axons.source == network.input.name:
        return sources
    lines = mapping.tables.lines
    sent = [mapping.slices[i].neurons() for i in lines[lines[:, 1] == number, 0].tolist()]
    senders = np.concatenate(sent) if sent else np.zeros(0, np.int64)
    return senders[np.isin(senders, sources)]
