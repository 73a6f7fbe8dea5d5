"""What filters of spikes may read: SpikingJelly's SynapseFilter counts the spikes of a step."""

from __future__ import annotations

import numpy as np

from snncompile.errors import UnsupportedError
from snncompile.ir.graph import Network, Projection
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.synapse_filter import SynapseFilter
from snncompile.synapses.base import Synapses


def check_filters(network: Network) -> None:
    """Refuse a filter that reads other numbers than those of spikes.

    Args:
        network: the float network, with what its input lines carry.

    Raises:
        UnsupportedError: a filter's weights are not whole, or its source sends values.
    """
    for population in network.populations:
        if not isinstance(population.neuron, SynapseFilter):
            continue
        for projection in network.into(population.name):
            if not _counts_spikes(network, projection):
                raise UnsupportedError(
                    f"{population.name}: a SynapseFilter is known of spikes, as its decay depends"
                    f" on what arrives; {projection.source} sends it other numbers: put it right"
                    " behind a neuron layer, and linear layers behind it"
                )


def _counts_spikes(network: Network, projection: Projection) -> bool:
    """Return whether whole numbers arrive."""
    assert isinstance(projection.synapses, Synapses)
    if (np.asarray(projection.synapses.weight) % 1 != 0).any():
        return False
    if projection.source == network.input.name:
        return network.input.unit == 1
    neuron = network.population(projection.source).neuron
    assert isinstance(neuron, FloatNeuron)
    values = neuron.sends_currents or (getattr(neuron, "whole", 1) == 0)
    return neuron.spikes and neuron.message_unit == 1 and not values
