"""Limits of chips whose synapses are no words in a memory, counted anew from slices and sites.

Nothing of `cores/chip_rules/`, which put the network there, is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from math import ceil, log2, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.mapping import Mapping
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.weight_formats import weight_step

Problems = Iterator[str]


def own_rules(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Yield what exceeds a limit of a chip with rules of its own; nothing for other chips."""
    if chip.encoding in RULES:
        yield from RULES[chip.encoding](network, chip, mapping)


def _crossbar(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Axons of a core, and its neurons built once for each axon that they drive."""
    limits = chip.crossbar
    assert limits is not None
    ends = [network.input.name, *(p.name for p in network.populations)]
    driven = {name: np.zeros(network.end(name).size, np.int64) for name in ends}
    axons: dict[int, int] = {}
    lines: dict[int, int] = {}
    for core, slices in mapping.by_core.items():
        needed = {name: np.zeros(count.shape, np.int64) for name, count in driven.items()}
        for s in slices:
            for p in network.into(s.population):
                needed[p.source] |= _planes(p, s.neurons(), limits.sign == "source")
        bits = {name: _count(mask) for name, mask in needed.items()}
        for name, count in bits.items():
            driven[name] += count
        axons[core] = sum(int(count.sum()) for count in bits.values())
        lines[core] = int(bits[network.input.name].sum()) if limits.inputs_are_neurons else 0
    for core, slices in mapping.by_core.items():
        places = sum(int(np.maximum(driven[s.population][s.neurons()], 1).sum()) for s in slices)
        yield from _too_many(core, "axons", axons[core], limits.axons.whole)
        yield from _too_many(core, "places of neurons", places + lines[core], limits.neurons.whole)


def _count(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bits that are set, of 16 at most."""
    count: NDArray[np.int64] = np.stack([(mask >> i) & 1 for i in range(16)]).sum(axis=0)
    return count


def _planes(p: Projection, targets: NDArray[np.int64], by_source: bool) -> NDArray[np.int64]:
    """Return which axons each source needs for some targets, as bits."""
    matrix, bits = _matrix(p)[targets], p.synapses.bits  # type: ignore[union-attr]
    found = np.zeros(matrix.shape[1], np.int64)
    value = matrix.data.astype(np.int64) // weight_step(bits)
    if by_source:
        planes = 1 * (value > 0) + 2 * (value < 0)
    else:
        every = p.synapses.weight.astype(np.int64) // weight_step(bits)
        low, high = int(every.min(initial=0)), int(every.max(initial=0))
        width = max((-low - 1).bit_length() if low else 0, high.bit_length()) + (low < 0)
        planes = value % (1 << width)
    np.bitwise_or.at(found, matrix.indices, planes)
    return found


def _kernels(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Memories of the core that each layer is on."""
    limits = chip.kernels
    assert limits is not None
    place = {site.core: site.tile_x for site in mapping.sites}
    for core, slices in mapping.by_core.items():
        if len(slices) != 1 or slices[0].size != network.population(slices[0].population).size:
            yield f"core {core} does not hold exactly one layer"
            continue
        (p,) = network.into(slices[0].population)
        kernel, neurons = _layer_words(network, p)
        at = place[core]
        yield from _too_many(core, "words of kernels", kernel, limits.kernel_words.values[at])
        yield from _too_many(core, "words of neurons", neurons, limits.neuron_words.values[at])


def _layer_words(network: IntegerNetwork, p: Projection) -> tuple[int, int]:
    wiring = p.synapses.wiring
    if isinstance(wiring, Convolution):
        inputs, outputs = wiring.source_shape[0], wiring.channels
        taps, space = prod(wiring.kernel), wiring.target_shape[1:]
    else:
        shape = network.end(p.source).shape
        inputs, outputs, space = shape[0], wiring.targets, (1, 1)
        taps = prod(shape[1:])
    kernel = inputs * 2 ** (ceil(log2(taps)) + ceil(log2(outputs)))
    return kernel, outputs * 2 ** sum(ceil(log2(length)) for length in space)


def _layers(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Sizes of the three layers, and how many hidden neurons a hidden one reaches."""
    limits = chip.layers
    assert limits is not None
    outputs = network.population(network.output).size
    hidden = sum(p.size for p in network.populations) - outputs
    yield from _too_many(0, "input lines", network.input.size, limits.inputs.whole)
    yield from _too_many(0, "hidden neurons", hidden, limits.hidden.whole)
    yield from _too_many(0, "output neurons", outputs, limits.outputs.whole)
    for population in network.populations:
        reached = np.zeros(population.size, np.int64)
        for p in network.out_of(population.name):
            if p.target != network.output:
                reached += (_matrix(p) != 0).sum(axis=0)
        most = int(reached.max(initial=0))
        yield from _too_many(0, f"targets of a {population.name}", most, limits.fan_out.whole)


def _weight_ram(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Lines of a core: those of a neuron hold the weight bits of all sources of the core."""
    limits = chip.weight_ram
    assert limits is not None
    for core, slices in mapping.by_core.items():
        used = 0
        for s in slices:
            into = network.into(s.population)
            sources: defaultdict[str, set[int]] = defaultdict(set)
            for p in into:
                sources[p.source] |= set(p.synapses.wiring.pattern[s.neurons()].indices.tolist())
            bits = max(p.synapses.bits for p in into)  # type: ignore[union-attr]
            need = sum(map(len, sources.values())) * bits / (limits.line_bits.whole or 1)
            lines = 2 ** ceil(log2(max(need, 1)))
            yield from _too_many(core, "lines of a neuron", lines, limits.extension.whole)
            used += s.size * lines
        yield from _too_many(core, "lines", used, limits.lines.whole)


def _bytes(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Bytes of a core's input buffers and of a chip's synapses; routes of the senders."""
    limits = chip.memory
    assert limits is not None
    step, steps = limits.input_bytes.whole or 0, limits.buffered_steps.whole or 0
    synapses: defaultdict[int, int] = defaultdict(int)
    for core, slices in mapping.by_core.items():
        used = sum(s.size for s in slices) * (step * steps + (limits.neuron_bytes.whole or 0))
        yield from _too_many(core, "bytes", used, limits.data_bytes.whole)
        for s in slices:
            for p in network.into(s.population):
                rows = p.synapses.wiring.pattern.indptr
                count = int((rows[s.neurons() + 1] - rows[s.neurons()]).sum())
                synapses[mapping.chip_of[core]] += count * (limits.synapse_bytes.whole or 0)
    for number, used in synapses.items():
        if limits.shared_bytes.whole is not None and used > limits.shared_bytes.whole:
            yield f"chip {number} holds {used:,} bytes of synapses of {limits.shared_bytes.whole:,}"
    senders = {p.source for p in network.projections}
    routes = 1 + sum(s.population in senders for s in mapping.slices)
    if limits.router_entries.whole is not None and routes > limits.router_entries.whole:
        yield f"{routes:,} routes are needed of {limits.router_entries.whole:,}"


def _matrix(p: Projection) -> csr_array:
    assert isinstance(p.synapses, IntegerSynapses)
    return p.synapses.wiring.matrix(p.synapses.weight)


def _too_many(core: int, what: str, used: int, most: int | None) -> Problems:
    if most is not None and used > most:
        yield f"core {core} holds {used:,} {what} of {most:,}"


RULES: dict[str, Callable[[IntegerNetwork, Chip, Mapping], Any]] = {
    "crossbar": _crossbar,
    "kernels": _kernels,
    "layers": _layers,
    "weight_ram": _weight_ram,
    "bytes": _bytes,
}
