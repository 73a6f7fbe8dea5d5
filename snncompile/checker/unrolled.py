"""Every synapse of every core written out one by one, as its tables say; for small networks."""

from __future__ import annotations

import numpy as np

from snncompile.checker.wiring_reach import order
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Mapping
from snncompile.synapses.base import IntegerSynapses

Synapse = tuple[int, int, int, int]
"""(source neuron, target neuron, weight, delay in steps)."""


def stored_synapses(network: IntegerNetwork, mapping: Mapping) -> dict[int, list[Synapse]]:
    """Return the synapses that spikes reach over the axons, by place of their projection.

    What arrives counts: for every route, for every neuron of the slice that it starts at, the rows
    of all blocks of memory behind the input axon.
    """
    found: dict[int, list[Synapse]] = {}
    for number, axons in enumerate(mapping.tables.axons):
        arriving = _arriving(network, mapping, number)
        for place in axons.memory:
            block = mapping.tables.memory[place]
            synapses = network.projections[block.projection].synapses
            assert isinstance(synapses, IntegerSynapses)
            rows = synapses.wiring.matrix(synapses.weight.astype(np.int64))
            targets = order(mapping.slices[block.slice])
            part = rows[targets][:, arriving].tocoo()
            found.setdefault(block.projection, []).extend(
                zip(
                    arriving[part.col].tolist(),
                    targets[part.row].tolist(),
                    part.data.tolist(),
                    [block.delay] * len(part.data),
                    strict=True,
                )
            )
    return found


def _arriving(network: IntegerNetwork, mapping: Mapping, number: int) -> np.ndarray:
    """Return the neurons whose spikes come in over a block of axons, one for each route."""
    axons = mapping.tables.axons[number]
    listens = axons.region.neurons()
    if axons.source == network.input.name:
        return listens
    lines = mapping.tables.lines
    sent = [mapping.slices[i].neurons() for i in lines[lines[:, 1] == number, 0].tolist()]
    senders = np.concatenate(sent) if sent else np.zeros(0, np.int64)
    return senders[np.isin(senders, listens)]
