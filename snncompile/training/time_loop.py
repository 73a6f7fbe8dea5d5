"""Networks of tensors with gradients: population after population, and loops step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from snncompile.ir import view
from snncompile.ir.graph import Graph, Projection

Apply = Callable[[Tensor], Tensor]
"""From an output (..., source) to the accumulated input (..., target)."""


class Neurons(Protocol):
    """Neurons of one population for one batch."""

    def begin(self, zero: Tensor) -> Any:
        """Return the states before the first step; `zero` has shape (samples, n)."""

    def step(self, state: Any, x: Tensor) -> tuple[Any, Tensor]:
        """Return the next states and the output, shape (samples, n).

        Args:
            state: of the last step.
            x: accumulated input, shape (samples, n), or (ports, samples, n).
        """

    def run(self, drive: Tensor) -> Tensor | None:
        """Return the output of all steps, shape (samples, steps, n); None: take `step`.

        Args:
            drive: accumulated input, in its shape.
        """


class TimeLoop:
    """The order in which the populations of a network are computed."""

    def __init__(self, network: Graph) -> None:
        self.network = network
        self.groups = tuple(view.order_populations(network))

    def run(
        self,
        x: Tensor,
        synapses: Mapping[int, Apply],
        neurons: Mapping[str, Neurons],
        biases: Mapping[str, Tensor],
        types: Mapping[str, torch.dtype],
    ) -> dict[str, Tensor]:
        """Return the output of the input and of every population, shape (samples, steps, n).

        Args:
            x: output of the input, shape (samples, steps, n).
            synapses: of each projection, by its number.
            neurons: of each population.
            biases: what the host adds to the input of populations, shape (samples, n).
            types: of the accumulated input of each population.
        """
        batch = _Batch(self.network, x, synapses, neurons, biases, types)
        for names, loop in self.groups:
            if loop:
                batch.run_loop(names)
            else:
                batch.run_population(names[0])
        return batch.outputs


class _Batch:
    def __init__(
        self,
        network: Graph,
        x: Tensor,
        synapses: Mapping[int, Apply],
        neurons: Mapping[str, Neurons],
        biases: Mapping[str, Tensor],
        types: Mapping[str, torch.dtype],
    ) -> None:
        self.network, self.synapses, self.neurons = network, synapses, neurons
        self.biases, self.types = biases, types
        self.samples, self.steps = x.shape[:2]
        self.outputs = {network.input.name: x}

    def run_population(self, name: str) -> None:
        """Compute a population whose sources are computed."""
        neurons, drive = self.neurons[name], self._compute_drive(name)
        output = neurons.run(drive)
        if output is not None:
            self.outputs[name] = output
            return
        state, outputs = neurons.begin(self._make_zero(name)), []
        for x in drive.unbind(-2):
            state, output = neurons.step(state, x)
            outputs.append(output)
        self.outputs[name] = torch.stack(outputs, dim=1)

    def run_loop(self, names: tuple[str, ...]) -> None:
        """Compute populations that feed each other, time step by time step."""
        drives = {name: self._compute_drive(name).unbind(-2) for name in names}
        states = {name: self.neurons[name].begin(self._make_zero(name)) for name in names}
        inside = {n: [p for p in self.network.into(n) if p.source in names] for n in names}
        outputs: dict[str, list[Tensor]] = {name: [] for name in names}
        for step in range(self.steps):
            for name in names:
                x = drives[name][step]
                for p in inside[name]:
                    sent = step - self.network.own_delay(p)
                    if sent >= 0:
                        x = self._add(x, p, self._apply(p, outputs[p.source][sent]))
                states[name], output = self.neurons[name].step(states[name], x)
                outputs[name].append(output)
        self.outputs |= {name: torch.stack(parts, dim=1) for name, parts in outputs.items()}

    def _apply(self, projection: Projection, train: Tensor) -> Tensor:
        return self.synapses[self.network.number(projection)](train)

    def _add(self, drive: Tensor, projection: Projection, arriving: Tensor) -> Tensor:
        """Return the input of a population with that of one projection."""
        population = self.network.population(projection.target)
        arriving = arriving.to(drive.dtype)
        if not population.neuron.ports:
            return drive + arriving
        port = self.network.port(projection)
        return torch.stack([d + arriving if i == port else d for i, d in enumerate(drive)])

    def _make_zero(self, name: str) -> Tensor:
        size = self.network.population(name).size
        device = self.outputs[self.network.input.name].device
        return torch.zeros((self.samples, size), dtype=self.types[name], device=device)

    def _compute_drive(self, name: str) -> Tensor:
        """Return the accumulated input from populations that are computed already."""
        ports = len(self.network.population(name).neuron.ports)
        totals: list[Tensor | None] = [None] * max(1, ports)
        if name in self.biases:
            totals[0] = self.biases[name].to(self.types[name])[:, None].expand(-1, self.steps, -1)
        for p in self.network.into(name):
            delay = self.network.own_delay(p)
            if p.source in self.outputs and delay < self.steps:
                train = self.outputs[p.source]
                arriving = self._apply(p, train[:, : self.steps - delay] if delay else train)
                arriving = (
                    torch.nn.functional.pad(arriving, (0, 0, delay, 0)) if delay else arriving
                )
                arriving, port = arriving.to(self.types[name]), self.network.port(p)
                earlier = totals[port]
                totals[port] = arriving if earlier is None else earlier + arriving
        if not ports and totals[0] is not None:
            return totals[0]
        silence = self._make_zero(name)[:, None].expand(-1, self.steps, -1)
        filled = [silence if total is None else total for total in totals]
        return torch.stack(filled) if ports else filled[0]
