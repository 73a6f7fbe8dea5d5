"""A Program as a torch module: forward the chip's integers, backward the float neurons."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from snncompile.errors import InputError
from snncompile.ir.graph import IntegerNetwork, Projection
from snncompile.ir.result import Result
from snncompile.reference.simulate import check_spikes
from snncompile.synapses.base import IntegerSynapses
from snncompile.training.chip_layers import ChipPopulation, ChipProjection
from snncompile.training.exact_types import Types, find_exact_types, find_sum_type
from snncompile.training.guarded import Guarded
from snncompile.training.masters import (
    TRAINED,
    Weights,
    check_names,
    find_scale_of_weights,
    find_unit,
)
from snncompile.training.surrogate import Surrogate, check_surrogate, fast_sigmoid
from snncompile.training.time_loop import TimeLoop
from snncompile.training.units import find_floats, is_original, list_original

if TYPE_CHECKING:
    from snncompile.program import Program


def chip_aware(
    program: Program,
    train: Collection[str] = TRAINED,
    *,
    surrogate: Surrogate = fast_sigmoid,
) -> ChipAware:
    """Return a module that computes what a Program computes, bit for bit, and that trains.

    Args:
        program: from `compile`.
        train: parameters that train: `weight`, `bias`, `threshold`, `potential_decay`,
            `current_decay` and others that neurons have.
        surrogate: derivative of a spike, of the excess over the threshold in thresholds.

    Raises:
        InputError: an argument is of another kind, a name of `train` is unknown, or the Program
            learns on the chip itself.
        UnsupportedError: a neuron has no float record, or sums leave what floats hold exactly.
    """
    return ChipAware(program, train, surrogate=surrogate)


class ChipAware(Guarded):
    """A Program as a module: `module(x)` is `program.run(x)`, and training changes its integers.

    Forward, populations take the step of their integer neuron, and projections add up integer
    weights in floats that hold them exactly, with delays, wrapping and saturation. Backward, states
    and outputs have the gradient of the float record's step, with a surrogate for comparisons; none
    passes where a state leaves its width. Master parameters are floats in the unit of the float
    network that the Program was compiled from; of weights they are the weight times the largest
    number that its source sends over that of its target, 255 from pixels to spikes. They are
    rounded in each forward pass, and gradients pass straight through the rounding.

    Delay relays that the compiler inserted do not train. Neurons that the compiler pruned are gone:
    compile with `prune=False` where they may be needed.
    """

    populations: Any
    projections: Any

    def __init__(
        self,
        program: Program,
        train: Collection[str] = TRAINED,
        *,
        surrogate: Surrogate = fast_sigmoid,
    ) -> None:
        super().__init__()
        if not hasattr(program, "mapping"):
            raise InputError(
                f"chip_aware takes a Program, got {type(program).__name__}; compile the network,"
                " or train it in floats with from_network"
            )
        check_names(train)
        check_surrogate(surrogate)
        _check_fixed_weights(program.network)
        self.surrogate = surrogate
        self.fixed = _Fixed(program, TimeLoop(program.network), find_exact_types(program.network))
        names = list_original(program)
        self.populations = nn.ModuleList(
            ChipPopulation(program, p, train if p.name in names else ())
            for p in program.network.populations
        )
        self.projections = nn.ModuleList(
            _bind_projection(self, p, trains="weight" in train and is_original(p, names))
            for p in program.network.projections
        )
        self.outputs: dict[str, Tensor] = {}
        """Outputs of the last forward pass, of the input and of every population, with their
        gradients; numbers as the chip sends them, shape (samples, steps, n)."""

    @property
    def network(self) -> IntegerNetwork:
        """The network that the Program has, with the integers from before training."""
        return self.fixed.program.network

    @property
    def output_scale(self) -> float:
        """Integer per number that the module returns; 1 of spikes."""
        population = self._population(self.network.output)
        return float(population.output_scale)

    def compute(self, x: Any) -> Tensor:
        """Return the output of every time step, shape (samples, steps, *output_shape).

        Spikes are 0 and 1; values (of readouts, of graded neurons) are the chip's integers over
        `output_scale`, in the unit of the float network.

        Args:
            x: what `program.run` takes, shape (samples, steps, *input.shape).

        Raises:
            InputError: x has another shape or values the network cannot take.
        """
        source, device = self.network.input, self._device
        checked = check_spikes(self.network, x)
        biases = {
            layer.target: torch.from_numpy(layer.compute(checked[:, 0].reshape(len(checked), -1)))
            for layer in source.host
        }
        kind = self.fixed.types.outputs[source.name]
        sent = np.asarray(source.send(checked), np.float64 if kind == torch.float64 else np.float32)
        train = torch.from_numpy(sent).to(device, kind)
        self.outputs = self.fixed.loop.run(
            train.reshape(*train.shape[:2], -1),
            {i: p.bind() for i, p in enumerate(self.projections)},
            {p.name: p.bind(self.surrogate, device) for p in self.populations},
            {name: bias.to(device) for name, bias in biases.items()},
            self.fixed.types.drives,
        )
        output = self.outputs[self.network.output]
        shaped = output.reshape(*output.shape[:2], *self.network.output_shape)
        return shaped if self.output_scale == 1 else shaped / self.output_scale

    @torch.no_grad()
    def run(self, x: Any) -> Result:
        """Return the output as `program.run(x)` does, with the integers of the present masters."""
        self(x)
        output = self.outputs[self.network.output].cpu().long().numpy()
        self.outputs = {}
        shaped = output.reshape(*output.shape[:2], *self.network.output_shape)
        plain = self._population(self.network.output).sends_plain_spikes
        return Result(shaped.astype(np.uint8) if plain else shaped, readout=self.network.answer)

    @torch.no_grad()
    def integers(self) -> IntegerNetwork:
        """Return the integer network of the present masters.

        Raises:
            InputError: a master is no finite number.
        """
        for name, parameter in self.named_parameters():
            if not parameter.isfinite().all():
                raise InputError(
                    f"{name} holds numbers that are not finite: training has diverged; begin anew"
                    " from an earlier state, with a smaller rate or clipped gradients"
                )
        populations = (p.write() for p in self.populations)
        projections = (p.write() for p in self.projections)
        return replace(self.network, populations=tuple(populations), projections=tuple(projections))

    def program(self) -> Program:
        """Return the Program of the present masters; nothing is quantized again.

        It has the chip and the options of the Program that training began with.

        Raises:
            InputError: a master is no finite number.
            FitError: the trained network does not fit; with other thresholds, say.
        """
        from snncompile.compiler import compile as compile_network

        begun = self.fixed.program
        return compile_network(self.integers(), chip=begun.chip, options=begun.options)

    def _population(self, name: str) -> ChipPopulation:
        population: ChipPopulation = next(p for p in self.populations if p.name == name)
        return population

    @property
    def _device(self) -> torch.device:
        return next(iter(self.buffers())).device

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the outputs of the last forward pass, which hold its gradients."""
        return self.__dict__ | {"outputs": {}}


@dataclass(frozen=True, eq=False)
class _Fixed:
    """What copies of a module share."""

    program: Program
    loop: TimeLoop
    types: Types

    def __deepcopy__(self, memo: dict[int, Any]) -> _Fixed:
        return self


def _bind_projection(module: ChipAware, projection: Projection, *, trains: bool) -> ChipProjection:
    """Return a projection with its masters; those of the float network, where there is one."""
    program, synapses = module.fixed.program, projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    target = module._population(projection.target)
    message = 1.0
    if projection.source == program.network.input.name:
        message = 1 / program.network.input.unit
    else:
        message = module._population(projection.source).output_scale
    scale = find_scale_of_weights(synapses.wiring, target.scale)
    unit = find_unit(program.source or program.network, projection)
    factor = scale / (2.0**synapses.exponent * target.restated.input_factor * message * unit)
    floats = find_floats(program, projection)
    start = None if floats is None else floats * unit
    shape = target.population.shape
    weights = Weights(synapses, factor, start, shape, train=trains)
    kinds = find_sum_type(module.network, projection), module.fixed.types.drives[projection.target]
    return ChipProjection(projection, weights, kinds)


def _check_fixed_weights(network: IntegerNetwork) -> None:
    if network.plastic:
        first = network.plastic[0]
        raise InputError(
            f"projection {first.source} -> {first.target} learns on the chip, by its own rule; use"
            " freeze_learning for weights that stay, and compile that"
        )
