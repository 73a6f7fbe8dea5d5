"""A compiled Program in the emulator of nengo-loihi: a core of the chip is a block of its own.

The emulator (nengo-loihi 1.1.0, `EmulatorInterface`) knows hard resets, no delays and inputs of 21
bits; what else it does with a block is its own affair.
"""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.sparse
from libraries import quiet
from numpy.typing import NDArray

from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.mapping import Mapping, Slice
from snncompile.program import Program

with quiet():  # it was tested with nengo up to 3.2
    from nengo_loihi.block import Axon, LoihiBlock, Synapse
    from nengo_loihi.emulator import EmulatorInterface
    from nengo_loihi.inputs import SpikeInput

HIGHEST = 2**23 - 1
"""Largest potential of a compartment."""


KEPT = {"": "spiked", ".u": "current", ".v": "voltage"}
"""End of a name in the results -> array of the emulator."""


def run_with_states(program: Program, x: NDArray[Any]) -> dict[str, NDArray[np.int64]]:
    """Return the spikes and states of every population in its own steps.

    Each has the shape (samples, steps, size); spikes of population `a` are called "a", its current
    and potential "a.u" and "a.v". A warning of the emulator, as of an overflow, is one of ours.

    Args:
        program: for Loihi 1, of neurons with a hard reset, each projection with a delay of 1.
        x: spikes of shape (samples, steps, *input.shape).
    """
    flat = x.reshape(*x.shape[:2], -1)
    samples = [run_sample(program.network, program.mapping, sample) for sample in flat]
    return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}


def run_sample(network: IntegerNetwork, mapping: Mapping, x: NDArray[Any]) -> dict[str, Any]:
    """Return the same of one sample, shape (steps, size)."""
    steps, last = len(x), max(p.phase for p in network.populations)
    chip = build_chip(network, mapping)
    for step, lines in enumerate(x):
        chip.inputs[0].add_spikes(step + 1, np.flatnonzero(lines))  # it counts from 1
    with quiet():  # it fills arrays of integers with NaN first
        emulator = EmulatorInterface(chip, seed=0)
    shapes = {p.name: (steps, p.size) for p in network.populations}
    rows = {name + end: np.zeros(shapes[name], np.int64) for name, end in product(shapes, KEPT)}
    for step in range(steps + last):
        hold_populations(emulator, network, chip.places, step, steps)
        emulator.step()
        for p in network.populations:
            if p.phase <= step < p.phase + steps:
                for (s, place), end in product(chip.places[p.name], KEPT):
                    now = getattr(emulator.compartment, KEPT[end])[place]
                    rows[p.name + end][step - p.phase, s.neurons()] = now
    return rows


def hold_populations(
    emulator: Any, network: IntegerNetwork, places: Any, step: int, steps: int
) -> None:
    """Set the states of populations outside their own steps to their first ones.

    The spikes of the last own step stay: they arrive in this one.
    """
    state = emulator.compartment
    for p in (p for p in network.populations if not 0 < step - p.phase < steps):
        initial = np.broadcast_to(p.neuron.initial, p.size)
        for s, place in places[p.name]:
            state.current[place], state.voltage[place] = 0, s.cut(initial)
            if step <= p.phase:
                state.spiked[place], state.ref_count[place] = False, 0


def build_chip(network: IntegerNetwork, mapping: Mapping) -> Any:
    """Return the blocks of all cores, the input, and the place of every slice in the state."""
    on_core: dict[int, list[Slice]] = {core: [] for core in range(mapping.cores)}
    for s in mapping.slices:
        on_core[s.core].append(s)
    blocks = [LoihiBlock(sum(s.size for s in slices)) for slices in on_core.values()]
    local: dict[int, int] = {}
    places: dict[str, list[tuple[Slice, slice]]] = {p.name: [] for p in network.populations}
    first = 0
    for block, slices in zip(blocks, on_core.values(), strict=True):
        start = 0
        for s in slices:
            local[id(s)] = start
            places[s.population].append((s, slice(first + start, first + start + s.size)))
            start += s.size
        configure(block, network, slices)
        first += block.n_neurons
    source = SpikeInput(network.input.size)
    for projection in network.projections:
        join(network, projection, mapping, blocks, local, source)
    return SimpleNamespace(blocks=blocks, inputs=[source], probes=[], dt=0.001, places=places)


def configure(block: Any, network: IntegerNetwork, slices: list[Slice]) -> None:
    """Set the parameters of the compartments of a core."""
    unit, rows = block.compartment, []
    for s in slices:
        neuron: Any = network.population(s.population).neuron
        if neuron.kind not in ("cuba_lif/hard", "integrate_fire/hard"):
            raise ValueError(f"the emulator has no neuron {neuron.kind}")
        numbers = (
            getattr(neuron, "current_decay", 4095),
            getattr(neuron, "potential_decay", 0),
            neuron.threshold << 6,
            neuron.bias_mantissa << neuron.bias_exponent,
        )
        size = network.population(s.population).size
        rows.append([s.cut(np.broadcast_to(number, size)) for number in numbers])
    columns = [np.concatenate(column).astype(np.int32) for column in zip(*rows, strict=True)]
    unit.decay_u, unit.decay_v, unit.vth, unit.bias = columns
    unit.scale_u = unit.scale_v = False
    unit.refract_delay = np.ones(block.n_neurons, np.int32)
    unit.vmin, unit.vmax = -HIGHEST, HIGHEST


def join(
    network: IntegerNetwork,
    projection: Projection,
    mapping: Mapping,
    blocks: list[Any],
    local: dict[int, int],
    source: Any,
) -> None:
    """Add the synapses of a projection to the cores of its target, and axons that reach them."""
    if projection.delay != 1:
        raise ValueError(f"the emulator has no delay of {projection.delay}")
    synapses: Any = projection.synapses
    weight = scipy.sparse.csr_array(synapses.wiring.matrix(synapses.weight.astype(np.int64)))
    weight = weight.toarray()
    exponent = 6 + synapses.exponent
    weight = weight << exponent if exponent >= 0 else weight >> -exponent
    for s in mapping.of(projection.target):
        rows = weight[s.neurons()].T.astype(np.int32)  # (sources, targets of the slice)
        targets = local[id(s)] + np.arange(s.size, dtype=np.int32)
        group = Synapse(len(rows))
        group.weights = [row[None, row != 0] for row in rows]
        group.indices = [targets[None, row != 0] for row in rows]
        blocks[s.core].add_synapse(group)
        if projection.source == network.input.name:
            source.add_axon(make_axon(group, np.arange(source.n_neurons)))
            continue
        for sender in mapping.of(projection.source):
            target_axons = np.full(blocks[sender.core].n_neurons, -1)
            start = local[id(sender)]
            target_axons[start : start + sender.size] = sender.neurons()
            blocks[sender.core].add_axon(make_axon(group, target_axons))


def make_axon(group: Any, target_axons: NDArray[Any]) -> Any:
    """Return axons to a group of synapses; -1 for a compartment that has none there."""
    axon = Axon(group.n_axons)
    axon.target = group
    axon.set_compartment_axon_map(target_axons)
    return axon
