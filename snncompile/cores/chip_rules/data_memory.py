"""Chips of ordinary processors, each with a data memory of its own (SpiNNaker).

A neuron takes its input buffers for the steps to come, and its state where that is known; synapses
are in the chip's shared memory; each slice that sends spikes takes an entry of every router that it
may pass, in the worst case all of them.

Source: Rhodes et al., sPyNNaker, Frontiers in Neuroscience 12:816, 2018.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from snncompile.cores.chip_rules.base import Fitted, FittedCore, require
from snncompile.cores.compartments import count_compartments_per_neuron
from snncompile.errors import list_briefly
from snncompile.hwmodels.limits import ByteMemory
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import IntegerNetwork
from snncompile.ir.mapping import Slice

DATA, SHARED, ROUTES = "bytes of data memory", "bytes of shared memory", "router entries"


def fill_cores(network: IntegerNetwork, chip: Chip) -> Fitted:
    """Return the network on cores of one population each, its neurons spread evenly.

    Raises:
        UnsupportedError: the chip lacks a neuron.
        FitError: too few cores, routes, or bytes of a chip's shared memory.
    """
    memory = chip.memory
    assert memory is not None
    neuron = _count_neuron_bytes(memory)
    per_core = (memory.data_bytes.whole or 0) // neuron
    slices: list[Slice] = []
    for population in network.populations:
        count_compartments_per_neuron(chip, population)
        count = -(-population.size // per_core)
        ends = [population.size * i // count for i in range(count + 1)]
        slices += [
            Slice.from_range(population, a, b, len(slices) + i)
            for i, (a, b) in enumerate(pairwise(ends))
        ]
    _check_cores(network, chip, slices)
    shared = _count_shared_bytes(network, chip, slices)
    routes = len([s for s in slices if network.out_of(s.population)]) + 1
    hint = "use fewer neurons: each slice that sends spikes, and the input, takes one"
    where = f"network {network.title}"
    require(where, ROUTES, routes, memory.router_entries.whole, hint)
    cores = [
        FittedCore(
            (s,),
            {DATA: s.size * neuron},
            {DATA: memory.data_bytes.whole},
            {"compartments": s.size},
            s.core,
        )
        for s in slices
    ]
    available = {SHARED: memory.shared_bytes.whole, ROUTES: memory.router_entries.whole}
    return Fitted(tuple(cores), {SHARED: shared, ROUTES: routes}, available)


def _count_neuron_bytes(memory: ByteMemory) -> int:
    buffers = (memory.input_bytes.whole or 0) * (memory.buffered_steps.whole or 0)
    return buffers + (memory.neuron_bytes.whole or 0)


def _check_cores(network: IntegerNetwork, chip: Chip, slices: Sequence[Slice]) -> None:
    count = Counter(s.population for s in slices)
    counts = list_briefly([f"{p.name} {count[p.name]}" for p in network.populations])
    available = (chip.mesh.cores.whole or 0) * chip.chips
    hint = "use fewer neurons or, where there is one, a board of several chips"
    require(f"network {network.title}", f"cores ({counts})", len(slices), available, hint)


def _count_shared_bytes(network: IntegerNetwork, chip: Chip, slices: Sequence[Slice]) -> int:
    """Return the bytes of synapses on the fullest chip; the cores of a chip follow each other."""
    memory, per_chip = chip.memory, chip.mesh.cores.whole or 1
    assert memory is not None
    used = np.zeros(-(-len(slices) // per_chip), np.int64)
    for s in slices:
        for p in network.into(s.population):
            synapses = int(p.synapses.wiring.fan_in[s.neurons()].sum())
            used[s.core // per_chip] += synapses * (memory.synapse_bytes.whole or 0)
    fullest = int(used.max(initial=0))
    hint = "use fewer synapses or, where there is one, a board of several chips"
    require(
        f"network {network.title}",
        f"{SHARED} for synapses on one chip",
        fullest,
        memory.shared_bytes.whole,
        hint,
    )
    return fullest
