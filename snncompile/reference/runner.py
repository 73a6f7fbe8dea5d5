"""A network that is ready to run: its parameters as tensors, its populations in order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snncompile.errors import InputError
from snncompile.ir import view
from snncompile.ir.graph import Graph, IntegerNetwork, Population, Projection
from snncompile.neurons.base import BINARY, Neuron
from snncompile.reference.fast import populations
from snncompile.reference.fast.base import Ways
from snncompile.reference.fast.layout import Layouts, change_layout, choose_layouts, order_neurons
from snncompile.reference.fast.projections import build_ways
from snncompile.reference.synapses import bind, bound_arriving_input
from snncompile.synapses.base import IntegerSynapses

SpikeTrains = dict[str, Tensor]
"""Output of the input and of each population, shape (samples, steps, size)."""
Watch = Callable[[str, int, tuple[Tensor, ...]], None]
"""Called with (population, time step, its states) after each time step."""


@dataclass(eq=False)
class Session:
    """One batch of samples while it runs, chunk after chunk of time steps."""

    samples: int
    steps: int = 0
    """Time steps done so far."""
    states: dict[str, Any] = field(default_factory=dict)
    """States after the last step, by population."""
    tails: SpikeTrains = field(default_factory=dict)
    """Last outputs of each source, for its longest delay in steps; in the layout they are kept."""
    biases: dict[str, Tensor] = field(default_factory=dict)
    """Biases that the host gives to populations, shape (samples, size)."""
    charged: SpikeTrains = field(default_factory=dict)
    """1 where potentials were not zero after the last steps, if the runner marks them."""


class Runner:
    """Runs batches of a network, on one device."""

    def __init__(
        self,
        network: Graph,
        watch: Watch | None = None,
        *,
        fast: bool = False,
        device: str = "cpu",
        charged: bool = False,
    ) -> None:
        if network.plastic:
            first = network.plastic[0]
            raise InputError(
                f"projection {first.source} -> {first.target} learns: its samples run one after the"
                " other, not in batches; use run, or freeze_learning for fixed weights"
            )
        self.network = network
        self.watch = watch
        self.charged = charged
        """Whether to mark potentials that are not zero."""
        self.exact = isinstance(network, IntegerNetwork)
        self.device = torch.device(device)
        self.groups = tuple(view.order_populations(network))
        self.before = _find_longest_delays(network)
        """Time steps of each source's output to remember."""
        self.layouts: Layouts = {}
        self.fast: dict[str, populations.Fast] = {}
        self.ways: dict[int, Ways] = {}
        if fast and isinstance(network, IntegerNetwork) and device == "cpu":
            self._compile(network)
        slow = [p.name for p in network.populations if p.name not in self.fast]
        self.neurons = {
            name: network.population(name).neuron.bind(self._make_tensor) for name in slow
        }
        self.synapses = {
            id(p): bind(p.synapses, network.payload(p.source), device)
            for p in network.projections
            if p.target in self.neurons
        }
        self.bytes = self._count_input_bytes() + sum(
            self._count_bytes(p) for p in network.populations
        )
        """Memory per sample and time step."""
        self.state_bytes = sum(8 * len(p.neuron.states) * p.size for p in network.populations)
        """Memory per sample."""

    def compute_biases(self, x: NDArray[Any]) -> dict[str, Tensor]:
        """Return the biases of the populations that the host feeds, of x (samples, steps, ...)."""
        images = x[:, 0].reshape(len(x), -1)
        return {
            layer.target: self._make_tensor(layer.compute(images))
            for layer in self.network.input.host
        }

    def _make_tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.tensor(array, device=self.device)

    def _compile(self, network: IntegerNetwork) -> None:
        """Prepare the populations that can take the compiled way."""
        names = [
            members[0]
            for members, loop in self.groups
            if not loop and _has_kernel(network, network.population(members[0]))
            if network.input.find_host(members[0]) is None
        ]
        self.layouts = choose_layouts(network, [network.input.name, *names]) if names else {}
        for name in names:
            population, channels = network.population(name), self.layouts[name]
            for p in network.into(name):
                assert isinstance(p.synapses, IntegerSynapses)
                layout = self.layouts[p.source]
                way = build_ways(p.synapses, network.payload(p.source), layout, channels)
                assert way is not None
                self.ways[id(p)] = way
            kernel = populations.bind_neuron(population.neuron, population.size, channels)
            assert kernel is not None
            order = order_neurons(population.size, channels)
            by_step = _build_step_runner(population.neuron, order)
            self.fast[name] = populations.Fast(kernel, by_step, population.size)

    def _count_input_bytes(self) -> int:
        plain = bool(self.fast) and self.network.input.payload == BINARY
        turns = self.layouts.get(self.network.input.name, 1) > 1
        return ((1 + turns) if plain else 16) * self.network.input.size

    def _count_bytes(self, population: Population) -> int:
        if population.name not in self.fast:
            return 16 * population.size * max(1, len(population.neuron.ports))
        kept = populations.choose_type(population.neuron, population.neuron.payload)
        return int(np.dtype(kept).itemsize * population.size)

    def run(self, session: Session, x: Tensor, keep: Collection[str]) -> SpikeTrains:
        """Run the next time steps of a batch; return the outputs to keep, in their own order.

        Args:
            session: the batch; updated in place.
            x: input, shape (samples, steps, size).
            keep: the input or populations.
        """
        chunk = _Chunk(self, session, x)
        for names, loop in self.groups:
            if loop:
                chunk.run_loop(names)
            elif names[0] in self.fast:
                chunk.run_fast(names[0])
            else:
                chunk.run_slow(names[0])
        kept = {name: chunk.output(name) for name in keep}
        for name, before in self.before.items():
            session.tails[name] = chunk.spike_trains[name][:, -before:].clone()
        session.steps += x.shape[1]
        session.charged = chunk.charged
        return kept


class _Chunk:
    """One chunk of time steps of a batch."""

    def __init__(self, runner: Runner, session: Session, x: Tensor) -> None:
        self.runner, self.session, self.network = runner, session, runner.network
        self.x, self.steps = x, x.shape[1]
        self.spike_trains: SpikeTrains = {}
        """Outputs in their layouts, behind the remembered steps."""
        self.charged: SpikeTrains = {}
        self._own_order: SpikeTrains = {}
        source = self.network.input.name
        kept = x
        if runner.fast:
            dtype = populations.choose_type(None, self.network.input.payload)
            kept = change_layout(x, 1, runner.layouts[source]).to(_torch_type(dtype))
        train = (
            self._allocate(source, kept.shape[2], kept.dtype)
            if self._count_remembered(source)
            else kept
        )
        if train is not kept:
            train[:, self._count_remembered(source) :] = kept
        self.spike_trains[source] = train

    def _count_remembered(self, name: str) -> int:
        return self.runner.before.get(name, 0)

    def _allocate(self, name: str, size: int, dtype: torch.dtype) -> Tensor:
        """Return an array for an output, with the remembered steps in front."""
        before = self._count_remembered(name)
        shape = self.session.samples, before + self.steps, size
        train = torch.empty(shape, dtype=dtype, device=self.runner.device)
        if before:
            tail = self.session.tails.get(name)
            train[:, :before] = 0 if tail is None else tail
        return train

    def output(self, name: str) -> Tensor:
        """Return an output in the population's own order, with the type its `step` gives."""
        if name == self.network.input.name:
            return self.x
        train = self._join_tail(name)[:, self._count_remembered(name) :]
        if name not in self.runner.fast:
            return train
        if train.dtype == torch.uint8:
            return train.contiguous().view(torch.bool)
        return train.to(torch.int64)

    def _join_tail(self, name: str) -> Tensor:
        """Return an output behind its remembered steps, in the population's own order."""
        if name not in self._own_order:
            channels = self.runner.layouts.get(name, 1)
            self._own_order[name] = change_layout(self.spike_trains[name], channels, 1)
        return self._own_order[name]

    def _select_delayed(self, projection: Projection, train: Tensor) -> Tensor:
        """Return the source's output, delayed by the projection's own delay."""
        first = self._count_remembered(projection.source) - self.network.own_delay(projection)
        return train[:, first : first + self.steps]

    def run_fast(self, name: str) -> None:
        """Compute a population the compiled way."""
        population = self.network.population(name)
        arriving = [
            populations.Arriving(
                self.runner.ways[id(p)], self._select_delayed(p, self._view_as_bytes(p)).numpy()
            )
            for p in self.network.into(name)
        ]
        dtype = populations.choose_type(population.neuron, population.neuron.payload)
        out = self._allocate(name, population.size, _torch_type(dtype))
        states = self.session.states
        if name not in states:
            states[name] = self._start_fast(population)
        before = self._count_remembered(name)
        receiving = population.neuron.listens(np.arange(self.steps) + self.session.steps)
        watch = self._watch_states(population) if self.runner.watch else None
        samples = self.session.samples if self.runner.charged else 0
        marked = torch.empty((samples, self.steps, population.size), dtype=torch.uint8)
        fast = self.runner.fast[name]
        fast.run(arriving, out.numpy(), before, states[name], receiving, watch, marked.numpy())
        self.spike_trains[name] = out
        if self.runner.charged:
            self.charged[name] = change_layout(marked, self.runner.layouts[name], 1)

    def _watch_states(self, population: Population) -> populations.WatchStep:
        """Return a function that reports the states of a population, in its own order."""
        back = np.argsort(order_neurons(population.size, self.runner.layouts[population.name]))

        def watch(step: int, state: NDArray[np.int32]) -> None:
            own = torch.from_numpy(state[..., back].astype(np.int64))
            self._report(population.name, step, own.unbind(1))

        return watch

    def _view_as_bytes(self, projection: Projection) -> Tensor:
        """Return the source's output in the type that the ways take."""
        train = self.spike_trains[projection.source]
        dtype = _torch_type(populations.choose_type(None, self.network.payload(projection.source)))
        return train.view(dtype) if train.dtype == torch.bool else train.to(dtype)

    def _start_fast(self, population: Population) -> NDArray[np.int32]:
        initial = population.neuron.begin(np.zeros(population.size, np.int64))
        turn = order_neurons(population.size, self.runner.layouts[population.name])
        states = np.stack(initial)[:, turn].astype(np.int32)
        return np.repeat(states[np.newaxis], self.session.samples, axis=0)

    def run_slow(self, name: str) -> None:
        """Compute a population step by step, with the operators of its neuron."""
        neuron, drive = self.runner.neurons[name], self._compute_drive(name)
        state = self._get_state(name, drive)
        for step in range(self.steps):
            state, output = neuron.step(state, drive[..., step, :])
            if step == 0:
                self.spike_trains[name] = self._allocate(name, output.shape[-1], output.dtype)
            self.spike_trains[name][:, self._count_remembered(name) + step] = output
            self._finish_step(name, step, state)
        self.session.states[name] = state

    def run_loop(self, names: tuple[str, ...]) -> None:
        """Compute populations that feed each other, time step by time step."""
        drive = {name: self._compute_drive(name) for name in names}
        state = {name: self._get_state(name, drive[name]) for name in names}
        inside = {n: [p for p in self.network.into(n) if p.source in names] for n in names}
        for name in names:
            neuron = self.runner.neurons[name]
            _, output = neuron.step(state[name], drive[name][..., 0, :])
            self.spike_trains[name] = self._allocate(name, output.shape[-1], output.dtype)
        for step in range(self.steps):
            for name in names:
                neuron, x = self.runner.neurons[name], drive[name][..., step, :]
                for p in inside[name]:
                    sent = self._select_delayed(p, self.spike_trains[p.source])[:, step]
                    select_port(neuron, x, self.network.port(p)).add_(
                        self.runner.synapses[id(p)](sent)
                    )
                state[name], output = neuron.step(state[name], x)
                self.spike_trains[name][:, self._count_remembered(name) + step] = output
                self._finish_step(name, step, state[name])
        self.session.states |= state

    def _get_state(self, name: str, drive: Tensor) -> tuple[Tensor, ...]:
        states: tuple[Tensor, ...] | None = self.session.states.get(name)
        return start_states(self.runner.neurons[name], drive) if states is None else states

    def _finish_step(self, name: str, step: int, state: tuple[Tensor, ...]) -> None:
        """Mark charged potentials and report the states after a step."""
        if self.runner.charged:
            neuron = self.network.population(name).neuron
            potential = state[neuron.states.index(neuron.potential)]
            shape = self.session.samples, self.steps, potential.shape[-1]
            if step == 0:
                self.charged[name] = torch.empty(shape, dtype=torch.uint8, device=potential.device)
            self.charged[name][:, step] = potential != 0
        self._report(name, step, state)

    def _report(self, name: str, step: int, state: tuple[Tensor, ...]) -> None:
        if self.runner.watch:
            self.runner.watch(name, self.session.steps + step, state)

    def _compute_drive(self, name: str) -> Tensor:
        """Return the accumulated input from populations that are computed already.

        It is zero in steps in which it cannot change any neuron.
        """
        population = self.network.population(name)
        receiving = population.neuron.listens(np.arange(self.steps) + self.session.steps)
        spans = [s for s in populations.split_spans(receiving, self.steps) if receiving[s.start]]
        shape = torch.Size((self.session.samples, self.steps, population.size))
        total = build_silence(population.neuron, shape, self.runner.exact, self.runner.device)
        if name in self.session.biases:
            total += self.session.biases[name][:, None]
        for p in self.network.into(name):
            if p.source in self.spike_trains:
                sent = self._select_delayed(p, self._join_tail(p.source))
                port_drive = select_port(population.neuron, total, self.network.port(p))
                for now in spans:
                    port_drive[:, now] += self.runner.synapses[id(p)](sent[:, now])
        return total


def _find_longest_delays(network: Graph) -> dict[str, int]:
    """Return the longest own delay behind each source, where there is one."""
    longest: dict[str, int] = {}
    for p in network.projections:
        if network.own_delay(p) > 0:
            longest[p.source] = max(longest.get(p.source, 0), network.own_delay(p))
    return longest


def _has_kernel(network: IntegerNetwork, population: Population) -> bool:
    """Return whether a population can take the compiled way."""
    into = network.into(population.name)
    sources: list[Any] = [(p.synapses, network.payload(p.source)) for p in into]
    fits = all(
        s.exponent >= -31 and s.sum_bits is None and abs(low) < 2**31 > high
        for s, (low, high) in sources
    )
    return (
        fits
        and not population.neuron.ports
        and sum(bound_arriving_input(*source) for source in sources) < 2**31
        and populations.bind_neuron(population.neuron, population.size) is not None
    )


def _build_step_runner(
    neuron: Neuron, turn: NDArray[np.int64]
) -> Callable[
    [NDArray[Any], NDArray[Any], populations.OutputStart, NDArray[Any], NDArray[Any]], None
]:
    """Return a function with the results of a kernel, for inputs of any size."""
    bound = neuron.reorder(turn).bind(torch.tensor)
    potential = neuron.states.index(neuron.potential)

    def run(
        drive: NDArray[Any],
        out: NDArray[Any],
        at: populations.OutputStart,
        state: NDArray[Any],
        charged: NDArray[Any],
    ) -> None:
        states = tuple(torch.tensor(state[:, k], dtype=torch.int64) for k in range(state.shape[1]))
        for step in range(drive.shape[1]):
            x = (torch.tensor(drive[:, step], dtype=torch.int64) << at[2]) >> at[3]
            states, output = bound.step(states, x)
            out[at[0] : at[0] + len(drive), at[1] + step] = output.numpy()
            if len(charged):
                charged[:, step] = (states[potential] != 0).numpy()
        for k, state_after in enumerate(states):
            state[:, k] = state_after.numpy()

    return run


def _torch_type(dtype: Any) -> torch.dtype:
    return TYPES[np.dtype(dtype).name]


TYPES: Mapping[str, torch.dtype] = {
    "uint8": torch.uint8,
    "int8": torch.int8,
    "int32": torch.int32,
}


def build_silence(
    neuron: Neuron, shape: torch.Size, exact: bool, device: torch.device | str = "cpu"
) -> Tensor:
    """Return an input of zeros, shape (samples, steps, n), or (ports, samples, steps, n)."""
    ports = (len(neuron.ports),) if neuron.ports else ()
    dtype = torch.int64 if exact else torch.float64
    return torch.zeros((*ports, *shape), dtype=dtype, device=device)


def select_port(neuron: Neuron, drive: Tensor, port: int) -> Tensor:
    """Return the input of one port, a view."""
    return drive[port] if neuron.ports else drive


def start_states(neuron: Neuron, drive: Tensor) -> tuple[Tensor, ...]:
    """Return the states before the first step; `drive` has shape (..., samples, steps, n)."""
    return neuron.begin(torch.zeros_like(select_port(neuron, drive, 0)[:, 0]))
