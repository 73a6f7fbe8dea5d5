"""Plan: which process computes each population and projection, and how samples are kept apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from snncompile.backends.lava.choose_process import (
    choose_neuron_process,
    load_processes,
    read_parameters,
)
from snncompile.backends.lava.hardware.fit import Facts, Fit, fires_early
from snncompile.backends.lava.hardware.rules import fit_neuron
from snncompile.backends.lava.hardware.synapse_rules import (
    DELAY_DENSE,
    DELAY_SPARSE,
    SynapseFit,
    find_image_shapes,
    fit_synapses,
)
from snncompile.backends.lava.lava_process import LavaProcess
from snncompile.backends.lava.network_processes import DENSE, SPARSE
from snncompile.errors import BackendError
from snncompile.ir.graph import IntegerNetwork, Population, Projection, Shape
from snncompile.neurons.base import Interval
from snncompile.passes.analysis.bounds import (
    add_arriving,
    collect_arriving,
    collect_sums,
    find_bias_limit,
)


@dataclass(frozen=True)
class PlannedNeuron:
    """The process of a population."""

    fit: Fit
    obstacle: str = ""
    """Why no process of Lava's library computes it; then `fit` has one of ours."""


@dataclass(frozen=True)
class Plan:
    """What becomes of each part of a network."""

    network: IntegerNetwork
    lead: int
    """Time steps before the input of the first sample, in which what the host sends can arrive."""
    neurons: dict[str, PlannedNeuron]
    """By the names of the populations."""
    synapses: tuple[SynapseFit, ...]
    """In the order of the projections."""
    images: dict[str, Shape]
    """Ends of a Conv: (channels, height, width) or (channels, length)."""
    apart: tuple[str, ...]
    """Why each sample needs a run of its own; empty where samples follow each other."""

    def phase(self, name: str) -> int:
        """Return the Lava time steps before the first own step of a population."""
        return self.network.phase(name) + self.lead

    @property
    def one_by_one(self) -> bool:
        """Whether each sample needs a run of its own."""
        return bool(self.apart)


def plan_network(network: IntegerNetwork, steps: int | None) -> Plan:
    """Return the plan of a network whose projections have delays of 1 or more.

    Args:
        network: the integer network.
        steps: time steps of one sample, for the bounds; None for any number.

    Raises:
        BackendError: synapses learn, which Lava's fixed-point models do only approximately.
        UnsupportedError: there is no Lava process for a kind of neuron, neither Lava's nor ours.
    """
    for projection in network.plastic:
        raise BackendError(
            f"projection {projection.source} -> {projection.target}: it learns, and Lava calls its"
            " own model of learning bit-approximate: no equal process to write for a chip; emit it"
            " without --for"
        )
    images, synapses = find_image_shapes(
        network, [fit_synapses(network, p) for p in network.projections]
    )
    fits = {p.name: fit_neuron(find_facts(network, p, steps, 1)) for p in network.populations}
    lead = _find_lead(network, fits)
    fits = {p.name: fit_neuron(find_facts(network, p, steps, lead)) for p in network.populations}
    processes = load_processes()
    neurons = {
        p.name: _make_neuron(network, p, fits[p.name], processes) for p in network.populations
    }
    early = _settle_starts(network, neurons, lead, processes)
    gated = tuple(
        _gate(network, p, fit) if p.source in early and network.own_delay(p) else fit
        for p, fit in zip(network.projections, synapses, strict=True)
    )
    return Plan(network, lead, neurons, gated, images, tuple(_list_reasons(network, neurons)))


def find_facts(
    network: IntegerNetwork, population: Population, steps: int | None, lead: int
) -> Facts:
    """Return what is proved of a population."""
    into = network.into(population.name)
    sums = add_arriving(population, collect_arriving(network, population.name, into))
    total = collect_sums(network, population.name, into)
    inside, limit = (sums, find_bias_limit(network, population.name))
    if total is not None:
        inside, steps = add_arriving(population, total), 1
    inside = Interval(inside.low - limit, inside.high + limit)
    states = population.neuron.bounds(inside, steps)  # type: ignore[attr-defined]
    read_out = population.name == network.output and not network.out_of(population.name)
    sums = Interval(sums.low - limit, sums.high + limit)
    return Facts(population, sums, states, population.phase + lead, read_out)


def _find_lead(network: IntegerNetwork, fits: dict[str, Fit | str]) -> int:
    """Return 1 if something that the host sends would arrive too late, else 0."""
    late = {layer.target for layer in network.input.host}
    late |= {n for n, f in fits.items() if isinstance(f, Fit) and f.first_step is not None}
    return int(any(network.phase(name) == 0 for name in late))


def _make_neuron(
    network: IntegerNetwork,
    population: Population,
    fit: Fit | str,
    processes: tuple[LavaProcess, ...],
) -> PlannedNeuron:
    """Return the fitting process, or one of ours, which is no process of Lava's library."""
    if isinstance(fit, Fit):
        return PlannedNeuron(fit)
    ours = tuple(p for p in processes if not p.library)
    process = choose_neuron_process(network, population, ours)
    arguments = read_parameters(population, process)
    neuron: Any = population.neuron
    ports = {port: f"{port}_in" for port in neuron.ports}
    return PlannedNeuron(Fit(process, arguments, "each sample", ports=ports), fit)


def _fires_early(population: Population, planned: PlannedNeuron, lead: int) -> bool:
    """Return whether a population sends something before its first own step, without input."""
    neuron: Any = population.neuron
    if planned.fit.first_step is not None:
        changed = {"initial": 0}
        if hasattr(neuron, "bias_level"):
            changed["bias_level"] = 0
        neuron = replace(neuron, **changed)
    return fires_early(neuron, population.phase + lead, population.size)


def _settle_starts(
    network: IntegerNetwork,
    neurons: dict[str, PlannedNeuron],
    lead: int,
    processes: tuple[LavaProcess, ...],
) -> set[str]:
    """Return the populations that fire before their first own step.

    What they send must not reach a process that starts only once: one of ours takes its place.
    """
    while True:
        early = {p.name for p in network.populations if _fires_early(p, neurons[p.name], lead)}
        for p in network.projections:
            if p.source in early and neurons[p.target].fit.begin == "once":
                name = neurons[p.target].fit.process.name
                reason = f"{p.source} fires before its first own step, and {name} starts only once"
                target = network.population(p.target)
                neurons[p.target] = _make_neuron(network, target, reason, processes)
                break
        else:
            return early


def _gate(network: IntegerNetwork, projection: Projection, fit: SynapseFit) -> SynapseFit:
    """Return synapses that hear nothing before the first own step of their source."""
    process = {DELAY_DENSE: DENSE, DELAY_SPARSE: SPARSE}.get(fit.process, fit.process)
    remark = f"{projection.source} fires before its first own step, which must not arrive"
    remark = "; ".join(filter(None, (fit.remark, remark)))
    wait, silent = fit.delay + fit.wait, network.own_delay(projection)
    return replace(fit, process=process, delay=0, wait=wait, silent=silent, remark=remark)


def _list_reasons(network: IntegerNetwork, neurons: dict[str, PlannedNeuron]) -> list[str]:
    """Return why samples cannot follow each other, one reason per population or projection."""
    reasons = [
        f"{name}: {planned.fit.process.name} does not start anew"
        for name, planned in neurons.items()
        if planned.fit.begin == "once"
    ]
    reasons += [
        f"{p.source} -> {p.target}: spikes of a sample would arrive in the next one"
        for p in network.projections
        if network.own_delay(p)
    ]
    return reasons
