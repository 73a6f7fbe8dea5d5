"""Populations and projections of a Program with masters: integers forward, floats backward."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.ir.graph import Population, Projection
from snncompile.neurons.base import IntegerNeuron, State
from snncompile.reference.synapses import bind_weights
from snncompile.synapses.base import IntegerSynapses
from snncompile.training.copies import copy_sharing
from snncompile.training.exact_types import choose_output_type
from snncompile.training.float_records import bind_record, restate
from snncompile.training.fused import has_kernel, run_integers
from snncompile.training.masters import Parameters, Weights
from snncompile.training.surrogate import Surrogate, Surrogates, pass_straight
from snncompile.training.time_loop import Apply
from snncompile.training.units import find_output_scale, find_scale

if TYPE_CHECKING:
    from snncompile.program import Program


class ChipPopulation(nn.Module):
    """Neurons of one population and their masters."""

    unit: Tensor

    def __init__(self, program: Program, population: Population, train: Collection[str]) -> None:
        super().__init__()
        self.name, self.population = population.name, population
        self.restated = restate(population)
        self.scale = find_scale(program, population)
        self.parameters_of = Parameters(
            population, self.restated.floats, self.scale, program.chip, train
        )
        threshold = np.asarray(getattr(self.restated.floats, "threshold", 0.0))
        unit = np.where(threshold > 0, threshold, self.scale)
        self.register_buffer("unit", torch.tensor(unit).float(), persistent=False)
        self.output_type = choose_output_type(population)
        self.output_scale = find_output_scale(program, population, self.scale)
        neuron, zero = self.neuron, np.zeros(population.size, np.int64)
        drive = np.stack([zero] * len(neuron.ports)) if neuron.ports else zero
        self.sends_plain_spikes = neuron.step(neuron.begin(zero), drive)[1].dtype == np.bool_

    def bind(self, surrogate: Surrogate, device: torch.device) -> _ChipNeurons:
        """Return the neurons with the present parameters, for one batch."""
        integers, reals = self.parameters_of.round()
        floats = {name: real.float() for name, real in reals.items()}
        return _ChipNeurons(
            integer=bind_record(self.neuron, device, integers),
            floats=bind_record(self.restated.floats, device, floats),
            mode=Surrogates(self.unit, surrogate),
            population=self,
        )

    @property
    def neuron(self) -> IntegerNeuron:
        """The integer neuron from before training."""
        neuron = self.population.neuron
        assert isinstance(neuron, IntegerNeuron)
        return neuron

    def write(self) -> Population:
        """Return the population with the present integers."""
        integers, _ = self.parameters_of.round()
        fields = {name: value.cpu().numpy() for name, value in integers.items()}
        return replace(self.population, neuron=replace(self.neuron, **fields))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy_sharing(self, ("population", "restated", "scale"), memo)


@dataclass(frozen=True, eq=False)
class _ChipNeurons:
    """Neurons of one population for one batch; the states are integers, and floats beside them."""

    integer: IntegerNeuron
    floats: Any
    mode: Surrogates
    population: ChipPopulation

    def begin(self, zero: Tensor) -> tuple[State, State]:
        state = self.integer.begin(zero.long())
        return state, tuple(s.float() for s in state)

    def step(self, state: tuple[State, State], x: Tensor) -> tuple[tuple[State, State], Tensor]:
        integers, floats = state
        kind, restated = self.population.output_type, self.population.restated
        new, output = self.integer.step(integers, x.detach().long())
        if not torch.is_grad_enabled():
            return (new, floats), output.to(kind)
        with self.mode:
            smooth, sent = self.floats.step(floats, x.float() * restated.input_factor)
        names = self.integer.states
        passes = [self._find_passing(n, s) for n, s in zip(names, smooth, strict=True)]
        states = tuple(map(pass_straight, smooth, new, passes))
        potential = passes[names.index(self.integer.potential)]
        factor, masks = restated.output_factor, None if self.integer.spikes else potential
        return (new, states), pass_straight(sent.to(kind) * factor, output, masks)

    def run(self, drive: Tensor) -> Tensor | None:
        if not has_kernel(self.floats, drive.device):
            return None
        factor = self.population.restated.input_factor
        unit, surrogate = self.mode.unit, self.mode.surrogate
        return run_integers(self.integer, self.floats, unit, surrogate, factor, drive)

    def _find_passing(self, name: str, smooth: Tensor) -> Tensor | None:
        """Return whether a state is within its width; None where no width is defined."""
        width = self.integer.width(name)
        return None if width.effect == "overflows" else smooth.detach().abs() <= width.limit


class ChipProjection(nn.Module):
    """Weights of one projection, and how they are added up."""

    def __init__(
        self, projection: Projection, weights: Weights, kinds: tuple[torch.dtype, torch.dtype]
    ) -> None:
        super().__init__()
        self.projection, self.weights = projection, weights
        self.sum_type, self.drive_type = kinds

    @property
    def synapses(self) -> IntegerSynapses:
        """The synapses from before training."""
        synapses = self.projection.synapses
        assert isinstance(synapses, IntegerSynapses)
        return synapses

    def bind(self) -> Apply:
        """Return the function that adds up the present weights, exactly."""
        weight = self.weights.round().to(self.sum_type)
        add_up, exponent = bind_weights(self.synapses.wiring, weight), self.synapses.exponent
        elsewhere = weight.device.type != "cpu"

        def accumulate(train: Tensor) -> Tensor:
            total = add_up(train)
            total = pass_straight(total, total.detach().round()) if elsewhere else total
            total = total.to(self.drive_type)
            if exponent == 0:
                return total
            scaled = total * 2.0**exponent
            return scaled if exponent > 0 else pass_straight(scaled, scaled.detach().floor())

        return accumulate

    def write(self) -> Projection:
        """Return the projection with the present integers."""
        weight = self.weights.round().cpu().numpy().astype(np.int16)
        return replace(self.projection, synapses=replace(self.synapses, weight=weight))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy_sharing(self, ("projection",), memo)
