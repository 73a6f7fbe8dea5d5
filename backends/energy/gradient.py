"""The closed form of an estimate as tensors with gradients: energy and latency as losses.

In: a Program and the outputs of its populations. Out: what `estimate` says of them, per inference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snncompile.arrays import Floats
from snncompile.backends.energy.activity import Activity, count_network_steps
from snncompile.backends.energy.costs import Costs, find_costs
from snncompile.backends.energy.counts import Counts, Machine, count_events, make_chip_machine
from snncompile.backends.energy.events import COLUMN
from snncompile.backends.energy.timing import find_barrier_ns, measure_work
from snncompile.errors import InputError, UnsupportedError
from snncompile.ir.graph import IntegerNetwork
from snncompile.program import Program
from snncompile.reference.synapses import bind_weights
from snncompile.synapses.base import Wiring
from snncompile.synapses.dense import Dense

PROBED = 256
"""Neurons that fire alone, one after the other, in one count of events."""


@dataclass(frozen=True, eq=False)
class CostModel:
    """Costs that are linear in spikes and in neurons reached, and what is left at rest.

    A resource is one half of a core, or a link.
    """

    network: IntegerNetwork
    spike_j: Tensor
    """Joules of a spike of each neuron, those of the input first; shape (neurons,)."""
    spike_ns: Tensor
    """Work that a spike brings to each resource, shape (neurons, resources)."""
    active_j: Tensor
    """Joules more of a neuron that a synapse reaches in a step, shape (neurons,)."""
    active_ns: Tensor
    """Work more of it, shape (neurons, resources)."""
    rest_j: float
    """Joules of a step without spikes, but for static power."""
    rest_ns: Tensor
    """Work of such a step, shape (resources,)."""
    barrier_ns: float
    floor_ns: float
    static_w: float
    """Of all chips in use; a power that is not known is 0, as in `estimate`."""

    def measure(self, outputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return energy in joules and latency in seconds, means over the samples.

        Args:
            outputs: of the input and of every population, shape (samples, steps, n).
        """
        network = self.network
        steps = outputs[network.input.name].shape[1]
        whole = count_network_steps(network, steps)
        spikes = {name: _mark(train.cpu()) for name, train in outputs.items()}
        for p in network.populations:
            if not p.neuron.spikes:
                spikes[p.name] = torch.zeros_like(spikes[p.name])
        names = [network.input.name, *(p.name for p in network.populations)]
        fired = torch.cat([self._shift(spikes[n], network.phase(n), whole) for n in names], dim=2)
        reached = torch.cat([self._find_reached(n, spikes, whole) for n in names], dim=2)
        work = self.rest_ns + fired @ self.spike_ns + reached @ self.active_ns
        step_ns = (work.amax(dim=2) + self.barrier_ns).clamp(min=self.floor_ns)
        latency = step_ns.sum(dim=1).mean() * 1e-9
        events = (fired @ self.spike_j + reached @ self.active_j).sum(dim=1).mean()
        return events + self.rest_j * whole + self.static_w * latency, latency

    def _shift(self, train: Tensor, first: int, steps: int) -> Tensor:
        """Return a train in steps of the network."""
        after = steps - first - train.shape[1]
        return torch.nn.functional.pad(train, (0, 0, first, after))

    def _find_reached(self, name: str, spikes: Mapping[str, Tensor], whole: int) -> Tensor:
        """Return 1 where a synapse reaches a neuron, in steps of the network."""
        total = torch.zeros_like(self._shift(spikes[name], 0, whole))
        for p in self.network.into(name) if name != self.network.input.name else ():
            delay, train = self.network.own_delay(p), spikes[p.source]
            if delay < train.shape[1]:
                sent = _count_arriving(p.synapses.wiring, train[:, : train.shape[1] - delay])
                total = total + self._shift(sent, self.network.phase(name) + delay, whole)
        return total.clamp(max=1)


@lru_cache(maxsize=8)
def build_cost_model(program: Program, costs: str | None = None) -> CostModel:
    """Return the costs of a Program, in the closed form of `estimate`.

    Args:
        program: its cores, routes and synapses; spikes may change, these do not.
        costs: name of a cost set of the chip; None for its default.

    Raises:
        InputError: the chip has no such cost set, or synapses learn.
        UnsupportedError: the cost set prices writes of potentials, which spikes do not tell.
    """
    if program.network.plastic:
        raise InputError(f"{program.network.title}: energy of synapses that learn has no gradient")
    chosen, machine = find_costs(program.chip, costs), make_chip_machine(program)
    if chosen.find_price("neuron_updated") is not None:
        others = [n for n, s in program.chip.costs.items() if "neuron_updated" not in s.prices]
        raise UnsupportedError(
            f"{program.chip.name}: cost set {chosen.name} prices neuron_updated, which depends on"
            f" potentials and has no gradient; choose from {', '.join(others) or 'another chip'}"
        )
    joules = np.nan_to_num(chosen.energy_pj) * 1e-12
    rest = _count(machine, np.zeros(0, np.int64))
    rest_ns = _list_work(machine, chosen, rest)[0]
    spike_j, spike_ns = _probe(machine, chosen, joules, rest, rest_ns)
    active_j, active_ns = _measure_active(machine, chosen, joules, len(rest_ns))
    barrier, static = chosen.set.barrier_energy_pj, chosen.set.static_w
    chips = program.mapping.chips
    barrier_j = (barrier.value or 0.0) * 1e-12 if barrier is not None else 0.0
    return CostModel(
        network=program.network,
        spike_j=_make_tensor(spike_j),
        spike_ns=_make_tensor(spike_ns),
        active_j=_make_tensor(active_j),
        active_ns=_make_tensor(active_ns),
        rest_j=float((rest.events @ joules).sum()) + barrier_j * chips,
        rest_ns=_make_tensor(rest_ns),
        barrier_ns=find_barrier_ns(machine, chosen, "chip") or 0.0,
        floor_ns=chosen.set.step_floor_ns.value or 0.0,
        static_w=(static.value or 0.0) * chips,
    )


def _make_tensor(array: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float64))


def _count(machine: Machine, neurons: Any) -> Counts:
    """Return the events of steps in which one neuron fires each; of one silent step without any."""
    steps = max(1, len(neurons))
    start = np.arange(steps + 1) if len(neurons) else np.zeros(2, np.int64)
    status = np.zeros((steps, machine.layout.size), np.uint8)
    activity = Activity(1, steps, start.astype(np.int64), neurons.astype(np.int32), status)
    return count_events(machine, activity)


def _list_work(machine: Machine, costs: Costs, counts: Counts) -> Floats:
    """Return the work of each step, shape (steps, resources)."""
    work = measure_work(machine, costs, counts)
    return np.concatenate([work.sending, work.receiving, work.links], axis=1)


def _probe(
    machine: Machine, costs: Costs, joules: Floats, rest: Counts, rest_ns: Floats
) -> tuple[Floats, Floats]:
    """Return energy and work of a spike of each neuron, above those of a silent step."""
    energies, work = [], []
    for first in range(0, machine.layout.size, PROBED):
        neurons = np.arange(first, min(first + PROBED, machine.layout.size))
        counts = _count(machine, neurons)
        energies.append(((counts.events - rest.events) @ joules).sum(axis=1))
        work.append(_list_work(machine, costs, counts) - rest_ns)
    return np.concatenate(energies), np.concatenate(work)


def _measure_active(
    machine: Machine, costs: Costs, joules: Floats, resources: int
) -> tuple[Floats, Floats]:
    """Return energy and work of each neuron's compartments if they are active, above inactive."""
    layout, pair = machine.layout, [COLUMN["neuron_active"], COLUMN["neuron_inactive"]]
    each = machine.each[layout.part_of].astype(np.float64)
    more_j, more_ns = (values[pair[0]] - values[pair[1]] for values in (joules, costs.time_ns))
    work = np.zeros((layout.size, resources))
    work[np.arange(layout.size), layout.core_of] = each * more_ns  # the sending halves come first
    return each * more_j, work


def _mark(train: Tensor) -> Tensor:
    """Return 1 where a neuron sends, with the gradient of the size of what it sends, up to 1."""
    return train.double().abs().clamp(max=1)


def _count_arriving(wiring: Wiring, train: Tensor) -> Tensor:
    """Return the synapses that reach each neuron."""
    if isinstance(wiring, Dense):
        return train.sum(dim=-1, keepdim=True).expand(*train.shape[:-1], wiring.targets)
    ones = torch.ones(wiring.weight_shape, dtype=train.dtype)
    return bind_weights(wiring, ones)(train)
