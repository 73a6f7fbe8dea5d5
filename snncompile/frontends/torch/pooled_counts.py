"""Average pools whose spikes are counted by a population of its own, where synapses would be many.

A dense layer behind a pool is one projection from the pool's source, each weight once per place:
1000 x 2048 behind 7 x 7 are 100 million synapses. Beyond `compose.LARGEST` the pool becomes neurons
that send the number of spikes in their window, and the dense layer reads these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from torch import nn

from snncompile.errors import UnsupportedError
from snncompile.frontends.torch import known_layers
from snncompile.frontends.torch.drive import Drive, Plus, Source, Through
from snncompile.frontends.torch.drive_sum import Sum
from snncompile.ir.graph import Population, Shape
from snncompile.neurons.graded import Graded
from snncompile.synapses import compose
from snncompile.synapses.base import Synapses


def find_share(drive: Through, modules: dict[str, nn.Module]) -> float | None:
    """Return the weight of a spike in the pool that a dense layer reads.

    None: it is no dense layer behind a pool of layers' spikes, or its synapses are few enough.
    """
    pool, outer = drive.of, modules[drive.path]
    if not isinstance(pool, Through) or not _adds_spikes(pool.of):
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


def _adds_spikes(drive: Drive) -> bool:
    """Return whether a drive is the output of a layer, or a sum of such outputs."""
    if isinstance(drive, Plus):
        return all(map(_adds_spikes, drive.terms))
    return isinstance(drive, Source) and drive.path is not None


def make_counts(
    name: str, shape: Shape, drive: Sum, neurons: Sequence[Any]
) -> tuple[Population, Sum]:
    """Return the population that sends the number of spikes of each window, and what it gets.

    Args:
        name: of the population.
        shape: of the pool's result.
        drive: the pool, multiplied out; its weights are multiples of that of a spike.
        neurons: of the source of each of its terms.

    Raises:
        UnsupportedError: a source sends numbers in another unit than spikes.
    """
    if any(n.message_unit != 1 or not n.spikes or n.sends_currents for n in neurons):
        raise UnsupportedError(
            f"{name}: the dense layer behind this pool takes more than {compose.LARGEST:,} synapses"
            " as one projection; put a neuron layer between them"
        )
    weights = [np.asarray(term.synapses.weight) for term in drive.terms]
    share = min(float(weight.min()) for weight in weights)
    counts = [np.rint(weight / share) for weight in weights]
    terms = tuple(
        replace(term, synapses=Synapses(term.synapses.wiring, count))
        for term, count in zip(drive.terms, counts, strict=True)
    )
    fan_in = [
        float(term.synapses.wiring.fan_in.max()) * float(count.max())
        for term, count in zip(drive.terms, counts, strict=True)
    ]
    low = sum(float(n.payload.low) * largest for n, largest in zip(neurons, fan_in, strict=True))
    high = sum(float(n.payload.high) * largest for n, largest in zip(neurons, fan_in, strict=True))
    neuron = Graded(lowest=np.asarray(low), highest=np.asarray(high))
    return Population(name, shape, neuron), replace(drive, terms=terms)
