"""Tables of a core with headed rows: words of rows and kernels, axon entries, ports, the total.

The rules are those of Intel's compiler for Loihi 2 (`hwmodels/loihi2.yaml`, sources `rows` and
`tables`); the numbers are the section `headed_rows` of a chip file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

import numpy as np

from snncompile.checker.wiring_reach import count_rows, find_sources, has_one_weight, is_tile
from snncompile.hwmodels.limits import HeadedRows
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.mapping import Mapping, Slice
from snncompile.ir.tables import AxonBlock
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.source_range import SourceRange

Held = defaultdict[int, int]
"""By core."""
KERNELS, ROWS = "kernels", "rows"
"""What blocks of memory are called."""
ADDED_UP = (
    "compartments",
    "synapse_words",
    "axons_in",
    "axons_out",
    "axon_memory",
    "neuron_groups",
)
"""Resources that the total of a core adds up."""


def count_words(chip: Chip, p: Projection, s: Slice) -> int:
    """Return the words of a projection's synapses into a slice."""
    rows, synapses = chip.headed_rows, p.synapses
    assert rows is not None
    assert isinstance(synapses, IntegerSynapses)
    delay = _read(rows, "delay_bits") if p.delay > 1 else 0
    bits = delay + _choose_bits(rows.weight_bits.values, synapses)
    width = chip.core.synapse_word_bits.whole or 64
    head, wiring = _read(rows, "head_bits"), synapses.wiring.plain
    if uses_kernels(p, s):
        taps = _count_taps(wiring, s)
        pieces = _cut_channels(_count_channels(wiring, s))
        return taps * sum(-(-(head + piece * bits) // width) for piece in pieces)
    each = bits + _read(rows, "index_bits")
    if p.rule is not None:  # tags and all else
        each = _read(rows, "learning_bits")
    counts = count_rows(wiring, s, shared=False).items()
    return sum(times * -(-(head + len(row) * each) // width) for row, times in counts)


def _read(rows: HeadedRows, name: str) -> int:
    return int(getattr(rows, name).value)


@lru_cache(maxsize=4096)
def _choose_bits(choices: tuple[int, ...], synapses: IntegerSynapses) -> int:
    """Return the bits of a stored weight: a choice of the chip, enough for the projection."""
    weight = synapses.weight.reshape(-1)  # not copied: it may be 10^8 weights
    divisor = int(np.gcd.reduce(weight)) if len(weight) else 0
    if divisor == 0:
        return min(choices)
    step = next(1 << n for n in range(64) if divisor % (2 << n))
    low, high = int(weight.min()) // step, int(weight.max()) // step
    own_sign = low < 0 <= high
    widths = range(1, 33)
    if own_sign:
        bits = next(n for n in widths if -(1 << n - 1) <= low and high < 1 << n - 1)
    else:
        bits = next(n for n in widths if -(1 << n) <= low and high < 1 << n)
    return min((choice for choice in choices if choice >= bits), default=max(choices))


def uses_kernels(p: Projection, s: Slice) -> bool:
    """Whether all pixels of a slice share weights: of a convolution, or one to one per channel."""
    wiring = p.synapses.wiring.plain
    if is_tile(wiring, s) or has_one_weight(wiring):
        return True
    if not isinstance(wiring, Scale) or s.members or len(s.shape) < 2:
        return False
    channels = np.asarray(p.synapses.weight).reshape(s.shape[0], -1)
    return bool((channels.min(axis=1) == channels.max(axis=1)).all())


def _count_channels(wiring: Wiring, s: Slice) -> int:
    boxed = len(s.shape) > 1
    return s.stop[0] - s.start[0] if boxed else 1


def _count_taps(wiring: Wiring, s: Slice) -> int:
    """Return the pairs of a source channel and a tap, those that meet only padding too."""
    if isinstance(wiring, Convolution):
        return len(find_sources(wiring, s).lists[0]) * int(np.prod(wiring.kernel))
    return _count_channels(wiring, s)


def _cut_channels(channels: int) -> list[int]:
    """Return the powers of two that make up a number of channels."""
    pieces = []
    while channels:
        pieces.append(channels & -channels)
        channels -= pieces[-1]
    return pieces


def count_input_entries(network: IntegerNetwork, mapping: Mapping, axons: AxonBlock) -> int:
    """Return the input axons of a block: pieces of channels, or all sources of a projection."""
    total = 0
    for number in axons.memory:
        block = mapping.tables.memory[number]
        p, s = network.projections[block.projection], mapping.slices[block.slice]
        wiring = p.synapses.wiring.plain
        if uses_kernels(p, s):
            total += len(_cut_channels(_count_channels(wiring, s)))
        else:
            total += _count_sources(wiring)
    return total


def _count_sources(wiring: Wiring) -> int:
    """Return the sources that have a synapse anywhere."""
    if isinstance(wiring, Dense | Scale):
        return wiring.sources
    return int((np.bincount(wiring.pattern.indices) > 0).sum())


def count_port_entries(network: IntegerNetwork, p: Projection, s: Slice) -> int:
    """Return the output axons of a slice for one projection, whatever cores it leads to.

    Up to three channels of neurons without a projection into them, an input's, are one piece.
    """
    wiring = p.synapses.wiring
    first = wiring.first if isinstance(wiring, SourceRange) else 0
    neurons = s.neurons()
    read = neurons[(neurons >= first) & (neurons < first + wiring.plain.sources)] - first
    if isinstance(wiring.plain, Convolution):
        space = int(np.prod(wiring.plain.source_shape[1:]))
        if first % space == 0 and _is_box(
            s, (wiring.sources // space, *wiring.plain.source_shape[1:])
        ):
            channels = len(np.unique(read // space))
            fed = network.into(s.population)
            pieces = len(_cut_channels(channels)) if fed or channels > 3 else 1
            return len(np.unique(read % space)) * pieces
        return s.size
    return len(read)


def _is_box(s: Slice, shape: tuple[int, ...]) -> bool:
    return s.shape == shape and not s.members


def hold_words(network: IntegerNetwork, chip: Chip, mapping: Mapping) -> dict[str, Held]:
    """Return output axons and axon memory of each core."""
    rows = chip.headed_rows
    assert rows is not None
    axons_out, axon_memory = defaultdict[int, int](int), defaultdict[int, int](int)
    for s in mapping.slices:
        leaving = network.out_of(s.population)
        axons_out[s.core] += sum(count_port_entries(network, p, s) for p in leaving)
        if s.population == network.output:
            axons_out[s.core] += s.size
        wirings = (p.synapses.wiring.plain for p in leaving)
        if any(isinstance(w, Convolution | Scale) for w in wirings):
            axon_memory[s.core] += _read(rows, "convolution_axon_memory")
    return {"axons_out": axons_out, "axon_memory": axon_memory}


def add_up(held: dict[str, Held]) -> Held:
    """Return the words of all tables of each core."""
    total: Held = defaultdict(int)
    for resource in ADDED_UP:
        for core, count in held[resource].items():
            total[core] += count
    return total


def check_ports(network: IntegerNetwork, mapping: Mapping) -> Iterator[str]:
    """Yield ports whose routes differ in their output axons, and ports of a core that overlap."""
    tables, first_of = mapping.tables, dict[tuple[int, int], int]()
    for number, block, _, first in tables.lines.tolist():
        (stored,) = {tables.memory[i].projection for i in tables.axons[block].memory}
        if first_of.setdefault((number, stored), first) != first:
            yield f"routes of {mapping.slices[number].where} begin at different output axons"
    spans: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for (number, stored), first in first_of.items():
        s = mapping.slices[number]
        count = count_port_entries(network, network.projections[stored], s)
        spans[s.core].append((first, first + count))
    for core, ports in spans.items():
        if any(stop > start for (_, stop), (start, _) in pairwise(sorted(ports))):
            yield f"output axons of core {core} overlap"
