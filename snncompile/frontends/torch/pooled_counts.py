"""Average pools whose spikes are counted by a population of its own, where synapses would be many.

A dense layer behind a pool is one projection from the pool's source, each weight once per place:
1000 x 2048 behind 7 x 7 are 100 million synapses. Beyond `compose.LARGEST` the pool becomes neurons
that send the number of spikes in their window, and the dense layer reads these.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.drive import Source, Through
from snncompile.ir.graph import Population, Shape
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.graded import Graded
from snncompile.synapses import compose
from snncompile.synapses.base import Synapses

if TYPE_CHECKING:
    from snncompile.frontends.torch.multiply_out import Sum


def find_share(drive: Through, modules: dict[str, nn.Module]) -> float | None:
    """Return the weight of a spike in the pool that a dense layer reads.

    None: it is no dense layer behind a pool of one layer's spikes, or its synapses are few enough.
    """
    pool, outer = drive.of, modules[drive.path]
    if not isinstance(pool, Through) or not isinstance(pool.of, Source) or pool.of.path is None:
        return None
    row = known_layers.find_linear(modules[pool.path])
    if not isinstance(outer, nn.Linear) or row is None or row.maximum:
        return None
    if outer.out_features * prod(pool.shape) <= compose.LARGEST:
        return None
    average = row.translate(modules[pool.path], pool.path, pool.shape)
    weight, wiring = np.asarray(average.synapses.weight), average.synapses.wiring
    share = float(weight.flat[0])
    plain = not average.bias.any() and share > 0 and bool((weight == share).all())
    return share if plain and wiring.targets < wiring.sources else None


def make_counts(name: str, shape: Shape, drive: Sum, neuron: FloatNeuron) -> tuple[Population, Sum]:
    """Return the population that sends the number of spikes of each window, and what it gets.

    Args:
        name: of the population.
        shape: of the pool's result.
        drive: the pool, multiplied out; its weights are equal.
        neuron: of the pool's source.

    Raises:
        UnsupportedError: the source sends numbers in another unit than spikes.
    """
    if neuron.message_unit != 1 or not neuron.spikes or neuron.sends_currents:
        raise UnsupportedError(
            f"{name}: the dense layer behind this pool takes more than {compose.LARGEST:,} synapses"
            " as one projection; put a neuron layer between them"
        )
    terms = tuple(
        replace(
            term,
            synapses=Synapses(term.synapses.wiring, np.ones_like(np.asarray(term.synapses.weight))),
        )
        for term in drive.terms
    )
    fan_in = sum(int(term.synapses.wiring.fan_in.max()) for term in terms)
    low, high = (np.asarray(float(end) * fan_in) for end in neuron.payload)
    return Population(name, shape, Graded(lowest=low, highest=high)), replace(drive, terms=terms)
