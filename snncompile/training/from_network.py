"""A float network as a torch module: networks that were imported or converted train on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.arrays import Floats, Ints
from snncompile.errors import InputError
from snncompile.ir.graph import Network, Population, Projection
from snncompile.ir.host import HostLayer
from snncompile.ir.input import read_array
from snncompile.neurons.base import FloatNeuron, State
from snncompile.reference.simulate import check_input
from snncompile.reference.synapses import bind_weights
from snncompile.synapses.base import Synapses
from snncompile.training.copies import copy_sharing
from snncompile.training.float_records import bind_record
from snncompile.training.fused import has_kernel, run_floats
from snncompile.training.guarded import Guarded
from snncompile.training.masters import (
    PARAMETERS,
    TRAINED,
    check_names,
    choose_groups,
    find_first,
    find_unit,
    group_weights,
    is_each_alone,
)
from snncompile.training.numbers import check_count
from snncompile.training.surrogate import Surrogate, Surrogates, check_surrogate, fast_sigmoid
from snncompile.training.time_loop import TimeLoop

SMALLEST = 1e-6
"""Smallest threshold that training leaves, as a share of that from which it began."""


def from_network(
    network: Network,
    steps: int | None = None,
    train: Collection[str] = TRAINED,
    *,
    surrogate: Surrogate = fast_sigmoid,
) -> FloatNetwork:
    """Return a module that computes what a float network computes, and that trains.

    Args:
        network: from a frontend or a conversion.
        steps: time steps for which the module shows an image; None: its input has a time axis.
        train: parameters that train, see `chip_aware`.
        surrogate: derivative of a spike, of the excess over the threshold in thresholds.

    Raises:
        InputError: an argument is of another kind, a name of `train` is unknown, the network
            learns on the chip itself, or its answer needs another number of steps.
    """
    return FloatNetwork(network, steps, train, surrogate=surrogate)


class FloatNetwork(Guarded):
    """A float network as a module: `module(x)` is `network.run(x)` in the module's type.

    Projections compute all time steps at once, populations step by step with the step of their
    record and a surrogate for comparisons. A parameter is the weight times the largest number
    that its source sends over that of its target, 255 from pixels to spikes. `network()` returns
    the network with what was learned.
    """

    populations: Any
    projections: Any
    host: Any

    def __init__(
        self,
        network: Network,
        steps: int | None = None,
        train: Collection[str] = TRAINED,
        *,
        surrogate: Surrogate = fast_sigmoid,
    ) -> None:
        super().__init__()
        if not isinstance(network, Network):
            raise InputError(
                f"from_network takes a network of floats, got {type(network).__name__}; a Program"
                " trains with chip_aware"
            )
        check_names(train)
        check_surrogate(surrogate)
        if network.plastic:
            first = network.plastic[0]
            raise InputError(
                f"projection {first.source} -> {first.target} learns by its own rule; use"
                " freeze_learning for weights that stay"
            )
        if steps is not None:
            check_count("steps", steps)
            network.answer.check_steps(steps)
        self.steps, self.surrogate = steps, surrogate
        self.fixed = _Fixed(network, TimeLoop(network))
        self.populations = nn.ModuleList(_FloatPopulation(p, train) for p in network.populations)
        trains = "weight" in train
        self.projections = nn.ModuleList(
            _bind_projection(network, p, trains=trains) for p in network.projections
        )
        self.host = nn.ModuleList(
            _FloatWeights(h.synapses, h.bias, 1.0, None, trains=trains) for h in network.input.host
        )
        self.outputs: dict[str, Tensor] = {}
        """Outputs of the last forward pass, of the input and of every population, with their
        gradients; shape (samples, steps, n)."""

    def compute(self, x: Any) -> Tensor:
        """Return the output of every time step, shape (samples, steps, *output_shape).

        Args:
            x: what `network.run` takes, shape (samples, steps, *input.shape); with `steps` images,
                shape (samples, *input.shape).

        Raises:
            InputError: x has another shape, or values that are not finite.
        """
        network, like = self.fixed.network, self._like
        shown = read_array(x)
        if self.steps is not None:
            shown = np.repeat(shown[:, None], self.steps, axis=1)
        kind = np.float64 if like.dtype == torch.float64 else np.float32
        checked = check_input(network, shown, kind)
        values = torch.from_numpy(checked).to(like.device, like.dtype)
        values = values.reshape(*values.shape[:2], -1)
        biases = {
            layer.target: host.bind()(values[:, 0]) + host.bias
            for layer, host in zip(network.input.host, self.host, strict=True)
        }
        self.outputs = self.fixed.loop.run(
            torch.zeros_like(values) if biases else values,
            {i: p.bind() for i, p in enumerate(self.projections)},
            {p.population.name: p.bind(self.surrogate, like) for p in self.populations},
            biases,
            {p.name: like.dtype for p in network.populations},
        )
        output = self.outputs[network.output]
        return output.reshape(*output.shape[:2], *network.output_shape)

    @torch.no_grad()
    def network(self) -> Network:
        """Return the float network of the present parameters."""
        network = self.fixed.network
        host = tuple(
            h.write_host(layer) for h, layer in zip(self.host, network.input.host, strict=True)
        )
        return replace(
            network,
            input=replace(network.input, host=host),
            populations=tuple(p.write() for p in self.populations),
            projections=tuple(
                replace(p, synapses=replace(p.synapses, weight=q.write()))
                for p, q in zip(network.projections, self.projections, strict=True)
            ),
        )

    @property
    def _like(self) -> Tensor:
        """A tensor with the module's type and device."""
        return next(iter((*self.parameters(), *self.buffers())))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the outputs of the last forward pass, which hold its gradients."""
        return self.__dict__ | {"outputs": {}}


@dataclass(frozen=True, eq=False)
class _Fixed:
    """What copies of a module share."""

    network: Network
    loop: TimeLoop

    def __deepcopy__(self, memo: dict[int, Any]) -> _Fixed:
        return self


def _bind_projection(network: Network, projection: Projection, *, trains: bool) -> _FloatWeights:
    """Return the weights of a projection; its channels share one if it is one to one by channel."""
    synapses, shape = projection.synapses, network.population(projection.target).shape
    assert isinstance(synapses, Synapses)
    unit = find_unit(network, projection)
    group = group_weights(synapses.wiring, shape, synapses.weight)
    return _FloatWeights(synapses, None, unit, group, trains=trains)


class _FloatWeights(nn.Module):
    """Weights of a projection, or of the host's layer with its biases."""

    def __init__(
        self,
        synapses: Synapses,
        bias: Floats | None,
        unit: float,
        group: Ints | None,
        *,
        trains: bool,
    ) -> None:
        super().__init__()
        self.wiring, self.unit = synapses.wiring, unit
        self.group: Tensor | None
        self.register_buffer("group", None if group is None else torch.from_numpy(group), False)
        weight = synapses.weight if group is None else synapses.weight[find_first(group)]
        self.weight = nn.Parameter(_write(weight * unit), requires_grad=trains)
        if bias is not None:
            self.bias = nn.Parameter(_write(bias), requires_grad=trains)

    def bind(self) -> Any:
        """Return the function that adds up the present weights."""
        weight = self._each if self.unit == 1 else self._each / self.unit
        return bind_weights(self.wiring, weight)

    def write(self) -> Floats:
        """Return the present weights."""
        return _read(self._each) / self.unit

    @property
    def _each(self) -> Tensor:
        """The parameter of each weight."""
        return self.weight if self.group is None else self.weight[self.group]

    def write_host(self, layer: HostLayer) -> HostLayer:
        """Return the host's layer with the present weights and biases."""
        synapses = replace(layer.synapses, weight=self.write())
        return replace(layer, synapses=synapses, bias=_read(self.bias))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy_sharing(self, ("wiring",), memo)


class _FloatPopulation(nn.Module):
    """Neurons of one population and their parameters that train."""

    unit: Tensor

    def __init__(self, population: Population, train: Collection[str]) -> None:
        super().__init__()
        self.population = population
        self.groups: dict[str, Ints | None] = {}
        """Group of each neuron, by parameter; None: all are one, or each is."""
        known = {name for name, _, _ in PARAMETERS.values()}
        for name in self.neuron._arrays():
            if name not in train or name not in known:
                continue
            value = np.asarray(getattr(self.neuron, name))
            group = choose_groups(population, name, value)
            self.groups[name] = None if group is None or is_each_alone(group) else group
            each = np.broadcast_to(value, (population.size,))
            self.register_parameter(name, nn.Parameter(_write(each[find_first(group)])))
        threshold = np.asarray(getattr(self.neuron, "threshold", 1.0))
        self.register_buffer("unit", _write(np.where(threshold > 0, threshold, 1.0)), False)

    @property
    def neuron(self) -> FloatNeuron:
        """The neuron from before training."""
        neuron = self.population.neuron
        assert isinstance(neuron, FloatNeuron)
        return neuron

    def bind(self, surrogate: Surrogate, like: Tensor) -> _FloatNeurons:
        """Return the neurons with the present parameters, for one batch."""
        values = {name: self._spread(name) for name in self.groups}
        record = bind_record(self.neuron, like.device, values, like.dtype)
        return _FloatNeurons(record, Surrogates(self.unit, surrogate))

    def write(self) -> Population:
        """Return the population with the present parameters."""
        values = {name: _read(self._spread(name)) for name in self.groups}
        return replace(self.population, neuron=replace(self.neuron, **values))

    def _spread(self, name: str) -> Tensor:
        """Return a parameter of each neuron, or one that all share."""
        value, group = self._limit(name), self.groups[name]
        return value if group is None else value[torch.from_numpy(group)]

    def _limit(self, name: str) -> Tensor:
        """Return a parameter within the range that the record takes."""
        value: Tensor = getattr(self, name)
        if type(self.neuron).is_share(name):
            low, high = (-1, 1) if name in ("sin_decay", "cos_decay") else (0, 1)
            return value.clamp(low, high)
        if name == "threshold":
            smallest = SMALLEST * float(np.min(self.unit.cpu().numpy()))
            return value.clamp(min=smallest if (np.asarray(self.neuron.threshold) > 0).all() else 0)  # type: ignore[attr-defined]
        if name == "negative_threshold":
            return value.clamp(max=0)
        return value.clamp(min=0) if name == "threshold_step" else value

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy_sharing(self, ("population", "groups"), memo)


@dataclass(frozen=True, eq=False)
class _FloatNeurons:
    """Neurons of one population for one batch."""

    record: FloatNeuron
    mode: Surrogates

    def begin(self, zero: Tensor) -> State:
        return self.record.begin(zero)

    def step(self, state: State, x: Tensor) -> tuple[State, Tensor]:
        with self.mode:
            state, output = self.record.step(state, x)
        return state, output.to(x.dtype)

    def run(self, drive: Tensor) -> Tensor | None:
        if not has_kernel(self.record, drive.device):
            return None
        return run_floats(self.record, self.mode.unit, self.mode.surrogate, drive)


def _write(array: Floats) -> Tensor:
    return torch.tensor(array, dtype=torch.get_default_dtype())


def _read(tensor: Tensor) -> Floats:
    return np.asarray(tensor.detach().cpu().numpy(), np.float64)
