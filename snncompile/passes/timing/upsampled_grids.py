"""Large transposed convolutions as plain ones of an upsampled grid, whose neurons are relays.

Passes list the synapses of a transposed convolution one by one, those of a convolution never.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from snncompile.errors import UnsupportedError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.base import FloatNeuron, Neuron
from snncompile.passes.timing.relay_neurons import find_relay, find_unit
from snncompile.synapses.base import Synapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.source_range import split_list
from snncompile.synapses.sparse import unroll
from snncompile.synapses.transposed_convolution import TransposedConvolution

SHARE = 4
"""Each projection to a grid takes at most this part of the input axons of a core."""


def convolve_upsampled_grids(network: Network, chip: Chip) -> Network:
    """Return the network without transposed convolutions that cannot be listed.

    They have too many synapses, or on Loihi 2 more sources than a core has input axons.

        a = 64x32x32 -transposed 4x4, stride 2-> b       ->
            a -transposed 1x1, stride 2-> a_grid = 64x63x63 -convolution 4x4-> b

    A relay on a place between those of the source gets nothing and stays silent. Spikes, delays and
    weights are those of before; the relays take a time step of the chip.

    Args:
        network: the float network.
        chip: gives the known neurons.

    Raises:
        UnsupportedError: no neuron of the chip passes the source's values on.
    """
    populations, projections = list(network.populations), list[Projection]()
    for p in network.projections:
        wiring = p.synapses.wiring
        neuron = _find_relay(network, p, chip)
        if not isinstance(wiring, TransposedConvolution) or neuron is None:
            projections.append(p)
            continue
        assert isinstance(p.synapses, Synapses)
        relay, places, convolution = split_transposed(wiring, p.synapses.weight)
        name = _choose_name(p.source, {network.input.name, *(q.name for q in populations)})
        populations.insert(_find_place(populations, p.source), Population(name, relay, neuron))
        projections += [Projection(p.source, name, s) for s in _list_ranges(places, chip)]
        projections.append(replace(p, source=name, synapses=convolution))
    if len(populations) == len(network.populations):
        return network
    return replace(network, populations=tuple(populations), projections=tuple(projections))


def split_transposed(
    wiring: TransposedConvolution, weight: Any
) -> tuple[tuple[int, ...], TransposedConvolution, Synapses]:
    """Return the shape of the upsampled grid, the wiring to it, and the convolution of it.

    Source i is at place i * stride of the grid. From y = i * stride + k * dilation - padding
    follows i * stride = y + k' * dilation - (reach - padding), where reach is
    dilation * (kernel - 1) and k' is kernel - 1 - k: a convolution with the kernel turned round and
    `reach - padding` zeros on both sides, as long as no source lies there. Otherwise it has fewer
    zeros, and the grid more places; where `reach - padding` is below 0, places are cut off.
    """
    reach = [d * (k - 1) for k, d in zip(wiring.kernel, wiring.dilation, strict=True)]
    last = [(n - 1) * s for n, s in zip(wiring.source_shape[1:], wiring.stride, strict=True)]
    ends = list(zip(wiring.target_space, reach, wiring.padding, last, strict=True))
    padding = tuple(
        max(0, min(r - p, r, (t + r - 1) // 2, t - 1 + p - end)) for t, r, p, end in ends
    )
    cut = tuple(zeros - (r - p) for zeros, (_, r, p, _) in zip(padding, ends, strict=True))
    space = tuple(t + r - 2 * zeros for zeros, (t, r, _, _) in zip(padding, ends, strict=True))
    axes, channels = len(space), wiring.source_shape[0]
    ones = (1,) * axes
    upsampling = TransposedConvolution(
        wiring.source_shape, channels, ones, wiring.stride, cut, ones, space, channels
    )
    convolution = Convolution(
        (channels, *space),
        wiring.channels,
        wiring.kernel,
        ones,
        padding,
        wiring.dilation,
        wiring.groups,
    )
    turned = np.flip(weight, axis=tuple(range(2, 2 + axes)))
    return (
        (channels, *space),
        upsampling,
        Synapses(convolution, turned),
    )


def _list_ranges(wiring: Wiring, chip: Chip) -> tuple[Synapses, ...]:
    """Return the synapses to the grid, from a range of sources each.

    Loihi 2 counts an input axon for every source of a projection, whatever a core reads of it; see
    `cores/port_entries.py`.
    """
    each = unroll(wiring).wiring
    axons = chip.core.axons_in.whole
    per_range = wiring.sources if axons is None else max(1, axons // SHARE)
    return split_list(Synapses(each, np.ones(len(each.target))), per_range)


def _find_relay(network: Network, projection: Projection, chip: Chip) -> Neuron | None:
    """Return the neuron of the grid that a projection needs; None: it is listed."""
    wiring, axons = projection.synapses.wiring, chip.core.axons_in.whole
    if not isinstance(wiring, TransposedConvolution):
        return None
    assert wiring.largest_list is not None
    too_wide = chip.headed_rows is not None and axons is not None and wiring.sources > axons
    if wiring.synapses <= wiring.largest_list and not too_wide:
        return None
    neuron = _choose_relay(network, projection, chip)
    if neuron is not None or wiring.synapses <= wiring.largest_list:
        return neuron
    raise UnsupportedError(
        f"projection {projection.source} -> {projection.target}: {wiring} takes"
        f" {wiring.synapses:,} synapses, more than are listed one by one, and"
        f" {chip.name} has no neuron that passes the source's values on to a grid; put a neuron"
        " layer before it, or use fewer channels or a smaller kernel"
    )


def _choose_relay(network: Network, projection: Projection, chip: Chip) -> Neuron | None:
    """Return a neuron of the chip that passes on what the source sends, if there is one."""
    end = network.end(projection.source)
    neuron = end.neuron if isinstance(end, Population) else None
    currents = isinstance(neuron, FloatNeuron) and neuron.sends_currents
    if currents or find_unit(network, projection.source) != 1:
        return None
    relay = find_relay(network, projection.source, chip)
    return None if relay is None else relay.neuron


def _choose_name(source: str, taken: set[str]) -> str:
    names = (f"{source}_grid" if n == 1 else f"{source}_grid_{n}" for n in count(1))
    return next(name for name in names if name not in taken)


def _find_place(populations: list[Population], source: str) -> int:
    """Return the place right behind a source, where the order of populations has it."""
    names = [p.name for p in populations]
    return names.index(source) + 1 if source in names else 0
