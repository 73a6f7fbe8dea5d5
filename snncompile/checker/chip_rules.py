"""Limits of chips whose synapses are no words in a memory, counted from slices and sites.

Each kind of chip has one function here, or in another package, and one row in the table
`checker_rules` of the registry, by the chip's encoding. It yields every limit that a mapping
exceeds, and may have an attribute `count_words` as a chip rule has. Nothing of
`cores/chip_rules/`, which chose the cores, is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from math import ceil, log2, prod

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from snncompile.checker import wiring_reach as reach
from snncompile.checker.memory_words import CHECKER_RULES, WORDS
from snncompile.errors import MappingError
from snncompile.hwmodels.limits import Crossbar, KernelCores
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.mapping import Mapping
from snncompile.registry import list_names, load
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.weight_formats import weight_step

Problems = Iterator[str]
CheckerRule = Callable[[IntegerNetwork, Chip, Mapping], Problems]


def check_encoding(chip: Chip) -> None:
    """Refuse a chip whose encoding has no rules of the checker.

    Raises:
        MappingError: nothing can be proved for it; the message lists the known encodings.
    """
    if chip.encoding in WORDS:
        return
    rules = list_names(CHECKER_RULES)
    if chip.encoding not in rules:
        known = sorted({*WORDS, *rules})
        raise MappingError(
            f"chip {chip.name}: the checker has no rules for encoding {chip.encoding!r}; known:"
            f" {', '.join(known)}; add a row to the entry point snncompile.{CHECKER_RULES}"
        )


def check_chip_rules(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Yield every exceeded limit of a chip with rules of its own; nothing for other chips."""
    if chip.encoding not in WORDS:
        rule: CheckerRule = load(CHECKER_RULES, chip.encoding)
        yield from rule(network, chip, mapping)


def check_crossbar(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Yield cores with too many axons, or neurons, each built once per axon that it drives."""
    limits = chip.crossbar
    assert limits is not None
    for p in network.projections:
        yield from _check_crossings(p, limits)
    ends = [network.input.name, *(p.name for p in network.populations)]
    driven = {name: np.zeros(network.end(name).size, np.int64) for name in ends}
    axons: dict[int, int] = {}
    lines: dict[int, int] = {}
    for core, slices in mapping.by_core.items():
        needed: dict[str, NDArray[np.int64]] = {}
        for s in slices:
            for p in network.into(s.population):
                own = _find_axons(p, s.neurons(), limits.sign == "source")
                needed[p.source] = own | needed.get(p.source, np.zeros_like(own))
        bits = {name: _count_bits(mask) for name, mask in needed.items()}
        for name, count in bits.items():
            driven[name] += count
        axons[core] = sum(int(count.sum()) for count in bits.values())
        of_input = bits.get(network.input.name, np.zeros(1, np.int64))
        lines[core] = int(of_input.sum()) if limits.inputs_are_neurons else 0
    for core, slices in mapping.by_core.items():
        copies = sum(int(np.maximum(driven[s.population][s.neurons()], 1).sum()) for s in slices)
        yield from refuse_excess(core, "axons", axons[core], limits.axons.whole)
        yield from refuse_excess(
            core, "places of neurons", copies + lines[core], limits.neurons.whole
        )


def _count_bits(mask: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of bits that are set, of 16 at most."""
    count: NDArray[np.int64] = np.stack([(mask >> i) & 1 for i in range(16)]).sum(axis=0)
    return count


def _find_axons(p: Projection, targets: NDArray[np.int64], by_source: bool) -> NDArray[np.int64]:
    """Return the axons that each source needs for some targets, as bits."""
    synapses = _get_synapses(p)
    matrix, step = synapses.wiring.rows(synapses.weight, targets), weight_step(synapses.bits)
    axons = np.zeros(matrix.shape[1], np.int64)
    value = matrix.data.astype(np.int64) // step
    if by_source:
        planes = 1 * (value > 0) + 2 * (value < 0)
    else:
        planes = value % (1 << _count_types(*_find_ends(synapses)))
    np.bitwise_or.at(axons, matrix.indices, planes)
    return axons


def _find_ends(synapses: IntegerSynapses) -> tuple[int, int]:
    """Return the lowest and highest weight in steps, zero among them."""
    every = synapses.weight.astype(np.int64) // weight_step(synapses.bits)
    return int(every.min(initial=0)), int(every.max(initial=0))


def _count_types(low: int, high: int) -> int:
    """Return the types of axons 1, 2, 4, ... of which weights are sums; the last is negative."""
    magnitude = max((-low - 1).bit_length() if low else 0, high.bit_length())
    return magnitude + (low < 0)


def _check_crossings(p: Projection, limits: Crossbar) -> Problems:
    """Yield weights that no crossings of the chip make."""
    low, high = _find_ends(_get_synapses(p))
    where = f"{p.source} -> {p.target}"
    if limits.sign == "source":
        bits = max(-low, high).bit_length()
        yield from _refuse(where, "bits of a magnitude", bits, limits.synapse_bits.whole)
        return
    types = _count_types(low, high)
    yield from _refuse(where, "axon types", types, limits.axon_types.whole)
    if limits.type_weight_bits is not None:
        bits = types + (low == 0)
        yield from _refuse(where, "bits of a type's weight", bits, limits.type_weight_bits.whole)


def check_kernels(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Yield cores whose memories do not hold their layer."""
    limits = chip.kernels
    assert limits is not None
    number_of = {site.core: site.tile_x for site in mapping.sites}
    for core, slices in mapping.by_core.items():
        if len(slices) != 1 or slices[0].size != network.population(slices[0].population).size:
            yield f"core {core} does not hold exactly one layer"
            continue
        (p,) = network.into(slices[0].population)
        yield from _check_kernel(network, p, limits)
        kernel, neurons = _count_layer_words(network, p)
        number = number_of[core]
        available = limits.kernel_words.values[number], limits.neuron_words.values[number]
        yield from refuse_excess(core, "words of kernels", kernel, available[0])
        yield from refuse_excess(core, "words of neurons", neurons, available[1])


def _check_kernel(network: IntegerNetwork, p: Projection, limits: KernelCores) -> Problems:
    """Yield sides, strides and destinations of a layer that the chip has not."""
    wiring, where = p.synapses.wiring, f"{p.source} -> {p.target}"
    sides: tuple[int, ...] = network.end(p.source).shape[1:]
    if isinstance(wiring, Convolution):
        sides = wiring.kernel
        for stride in sorted(set(wiring.stride) - set(limits.strides.values)):
            known = ", ".join(map(str, limits.strides.values))
            yield f"{where} has stride {stride}; the chip has {known}"
    side = max(sides, default=1)
    yield from _refuse(where, "neurons as side of a kernel", side, limits.kernel.whole)
    targets = len({q.target for q in network.out_of(p.target)})
    yield from _refuse(p.target, "layers to send to", targets, limits.destinations.whole)


def _count_layer_words(network: IntegerNetwork, p: Projection) -> tuple[int, int]:
    """Return the words of kernels and of neurons that a layer takes."""
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


def check_layers(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Yield layers that are too large, and hidden neurons with too many hidden targets."""
    limits = chip.layers
    assert limits is not None
    outputs = network.population(network.output).size
    hidden = sum(p.size for p in network.populations) - outputs
    yield from refuse_excess(0, "input lines", network.input.size, limits.inputs.whole)
    yield from refuse_excess(0, "hidden neurons", hidden, limits.hidden.whole)
    yield from refuse_excess(0, "output neurons", outputs, limits.outputs.whole)
    for population in network.populations:
        targets = np.zeros(population.size, np.int64)
        for p in network.out_of(population.name):
            if p.target != network.output:
                targets += (_unroll(p) != 0).sum(axis=0)
        name = f"targets of a {population.name}"
        yield from refuse_excess(0, name, int(targets.max(initial=0)), limits.fan_out.whole)


def check_weight_ram(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Yield cores with too many lines; a neuron's hold weight bits of all sources of the core."""
    limits = chip.weight_ram
    assert limits is not None
    for core, slices in mapping.by_core.items():
        used = 0
        for s in slices:
            into = network.into(s.population)
            sources: defaultdict[str, set[int]] = defaultdict(set)
            for p in into:
                sources[p.source] |= set(
                    reach.find_sources(p.synapses.wiring, s).neurons().tolist()
                )
            bits = max((_get_synapses(p).bits for p in into), default=1)
            need = sum(map(len, sources.values())) * bits / (limits.line_bits.whole or 1)
            lines = 2 ** ceil(log2(max(need, 1)))
            yield from refuse_excess(core, "lines of a neuron", lines, limits.extension.whole)
            used += s.size * lines
        yield from refuse_excess(core, "lines", used, limits.lines.whole)


def check_bytes(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> Problems:
    """Yield cores with too many bytes, chips with too many bytes of synapses or routes."""
    limits = chip.memory
    assert limits is not None
    step, steps = limits.input_bytes.whole or 0, limits.buffered_steps.whole or 0
    synapses: defaultdict[int, int] = defaultdict(int)
    for core, slices in mapping.by_core.items():
        used = sum(s.size for s in slices) * (step * steps + (limits.neuron_bytes.whole or 0))
        yield from refuse_excess(core, "bytes", used, limits.data_bytes.whole)
        for s in slices:
            for p in network.into(s.population):
                count = reach.count_synapses(p.synapses.wiring, s)
                synapses[mapping.chip_of[core]] += count * (limits.synapse_bytes.whole or 0)
    for number, used in synapses.items():
        if limits.shared_bytes.whole is not None and used > limits.shared_bytes.whole:
            yield f"chip {number} holds {used:,} bytes of synapses of {limits.shared_bytes.whole:,}"
    senders = {p.source for p in network.projections}
    routes = 1 + sum(s.population in senders for s in mapping.slices)
    if limits.router_entries.whole is not None and routes > limits.router_entries.whole:
        yield f"{routes:,} routes are needed of {limits.router_entries.whole:,}"


def _get_synapses(p: Projection) -> IntegerSynapses:
    assert isinstance(p.synapses, IntegerSynapses)
    return p.synapses


def _unroll(p: Projection) -> csr_array:
    """Return the weights of a projection, (targets, sources)."""
    synapses = _get_synapses(p)
    return synapses.wiring.matrix(synapses.weight)


def _refuse(where: str, resource: str, need: int, available: int | None) -> Problems:
    """Yield what is wrong if something needs more than the chip has; None: not known."""
    if available is not None and need > available:
        yield f"{where} needs {need:,} {resource} of {available:,}"


def refuse_excess(core: int, resource: str, used: int, available: int | None) -> Problems:
    """Yield what is wrong if a core holds more of a resource than it has; None: not known."""
    if available is not None and used > available:
        yield f"core {core} holds {used:,} {resource} of {available:,}"
