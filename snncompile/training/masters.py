"""Master parameters: the floats that an optimizer changes, and the integers that they stand for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snncompile.arrays import Floats, Ints
from snncompile.errors import InputError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Graph, Population, Projection
from snncompile.neurons.base import FloatNeuron, IntegerNeuron
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT
from snncompile.neurons.graded import Graded, IntegerGraded
from snncompile.synapses.base import IntegerSynapses, Wiring
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.scale import Scale
from snncompile.synapses.sparse import unroll
from snncompile.synapses.transposed_convolution import TransposedConvolution
from snncompile.synapses.weight_formats import weight_step
from snncompile.training.rounding import is_small, pass_rounded, round_small, round_within

CELL = 0.499
"""Distance from an integer within which every master stands for that integer, whatever ties do."""
PARAMETERS = {
    "threshold": ("threshold", 0, 2**STATE_SHIFT),
    "threshold_level": ("threshold", 0, 1),
    "negative_threshold": ("negative_threshold", 0, 2**STATE_SHIFT),
    "threshold_step": ("threshold_step", 0, 2**STATE_SHIFT),
    "bias_mantissa": ("bias", 0, 1),
    "bias_level": ("bias", 0, 1),
    "bias": ("bias", 0, 1),
    "current_decay": ("current_decay", 1, 1 / DECAY_ONE),
    "potential_decay": ("potential_decay", 0, 1 / DECAY_ONE),
    "threshold_decay": ("threshold_decay", 0, 1 / DECAY_ONE),
    "sin_decay": ("sin_decay", 0, 1 / DECAY_ONE),
    "cos_decay": ("cos_decay", 0, 1 / DECAY_ONE),
}
"""Parameter of an integer neuron -> parameter of the float record, which is

    (integer + offset) * unit

and offset and unit; of a bias mantissa the unit is 2^exponent, with the smallest exponent that
holds the bias."""
TRAINED = ("weight", "bias", "threshold")
"""What trains unless said otherwise."""


def check_names(names: Collection[str]) -> None:
    """Refuse names of parameters that no neuron has."""
    known = sorted({"weight", *(name for name, _, _ in PARAMETERS.values())})
    for name in names:
        if name not in known:
            raise InputError(f"train: no parameter {name!r}; known: {', '.join(known)}")


class Weights(nn.Module):
    """Weights of one projection: float masters, which stand for integers.

    integer = master * factor rounded, in the steps of the weight's bits
    """

    def __init__(
        self,
        synapses: IntegerSynapses,
        factor: Floats,
        start: Floats | None,
        shape: tuple[int, ...],
        *,
        train: bool,
    ) -> None:
        """Take the weights of a projection.

        Args:
            synapses: the integers.
            factor: integer weight per unit of the master, shape of the weights or one that
                broadcasts to it.
            start: weights of the float network, from which those masters start that stand for their
                integers; those that were rounded otherwise, to make up for others, start at their
                integers. None: all do.
            shape: of the target population.
            train: whether they train.
        """
        super().__init__()
        self.step = weight_step(synapses.bits)
        whole = synapses.weight.astype(np.float64) / self.step
        end = (1 << (synapses.bits - 1)) - 1
        self.low = min(-end, int(whole.min(initial=0)))
        self.high = max(end, int(whole.max(initial=0)))
        per_step = np.broadcast_to(factor / self.step, whole.shape)
        nearest = whole
        if start is not None:
            floats = start * per_step
            nearest = np.where(np.abs(floats - whole) <= CELL, floats, whole)
        masters = nearest / per_step
        group = group_weights(synapses.wiring, shape, whole, masters)
        self.group: Tensor | None
        self.register_buffer("group", None if group is None else torch.from_numpy(group), False)
        masters = masters if group is None else masters[find_first(group)]
        self.weight = nn.Parameter(_write(masters).float(), requires_grad=train)
        self.per_step: Tensor
        unit = _write(np.asarray(factor / self.step)).float()
        self.register_buffer("per_step", unit, persistent=False)

    def round(self) -> Tensor:
        """Return the integer weights as floats, with the gradient of the masters."""
        each = self.weight if self.group is None else self.weight[self.group]
        return round_within(each, self.per_step, self.low, self.high, unit=self.step)


@dataclass(frozen=True, eq=False)
class Parameter:
    """One parameter of a population's neurons that has a master."""

    field: str
    """Of the integer neuron."""
    name: str
    """Of the float record, and of the master."""
    offset: int
    unit: Floats
    """Real number per integer, one or one per neuron."""
    scale: Floats
    """Real number per unit of the master, one per group."""
    group: Ints | None
    """Group of each neuron, whose neurons share a master; None: all share one."""
    low: int
    high: int
    exponents: int
    """Largest exponent of a bias, which follows the master; 0 of others."""


class Parameters(nn.Module):
    """Parameters of one population: float masters, which stand for integers."""

    def __init__(
        self,
        population: Population,
        floats: FloatNeuron,
        scale: Floats,
        chip: Chip,
        train: Collection[str],
    ) -> None:
        """Take the parameters of a population.

        Args:
            population: of integers.
            floats: the float record of its neuron.
            scale: integer potential per float potential, one per neuron.
            chip: gives ranges, and says whether thresholds have to be shared.
            train: names of the parameters that train; others have no master.
        """
        super().__init__()
        self.rows = tuple(_list_rows(population, floats, scale, chip, train))
        self.shares = False
        """Whether neurons of a group share a master, but not all of them."""
        for row in self.rows:
            integer = getattr(population.neuron, row.field)
            real = (integer + row.offset) * row.unit
            each = np.broadcast_to(real, (population.size,))[find_first(row.group)]
            self.register_parameter(row.name, nn.Parameter(_write(each / row.scale)))
            self.register_buffer(f"{row.name}_scale", _write(row.scale), persistent=False)
            self.register_buffer(f"{row.name}_unit", _write(row.unit), persistent=False)
            if row.group is not None and not is_each_alone(row.group):
                index = torch.tensor(row.group)
                self.register_buffer(f"{row.name}_group", index, persistent=False)
                self.shares = True

    def round(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the parameters of the integer neuron, and of the float record with gradients."""
        masters = [getattr(self, row.name) for row in self.rows]
        if not self.shares and all(is_small(master) for master in masters):
            return self._round_together(masters)
        integers, reals = {}, {}
        for row in self.rows:
            master, scale = getattr(self, row.name), getattr(self, f"{row.name}_scale")
            group = getattr(self, f"{row.name}_group", None)
            if group is not None:
                master, scale = master[group], scale[group]
            unit = getattr(self, f"{row.name}_unit")
            if row.exponents:
                exponent = _choose_exponent(master.detach() * scale, row)
                integers["bias_exponent"] = exponent.long()
                unit = 2.0**exponent
            real = round_within(
                master, scale / unit, row.low, row.high, offset=row.offset, unit=unit
            )
            integers[row.field] = (real.detach() / unit - row.offset).long()
            reals[row.name] = real
        return integers, reals

    def _round_together(self, masters: list[Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Do as `round` with fewer operations: few numbers take less time than these."""
        integers, rounded = {}, []
        for row, master in zip(self.rows, masters, strict=True):
            ends = row.low, row.high, row.offset, row.exponents
            each = round_small(master.detach().numpy(), row.scale, row.unit, ends)
            if row.exponents:
                integers["bias_exponent"] = torch.from_numpy(each.exponent)
            integers[row.field] = torch.from_numpy(each.whole)
            rounded.append(each)
        reals = pass_rounded(rounded, masters)
        return integers, {row.name: real for row, real in zip(self.rows, reals, strict=True)}


def _list_rows(
    population: Population,
    floats: FloatNeuron,
    scale: Floats,
    chip: Chip,
    train: Collection[str],
) -> Any:
    neuron = population.neuron
    assert isinstance(neuron, IntegerNeuron)
    ranges = neuron.ranges(chip.formats)
    for field, (name, offset, unit) in PARAMETERS.items():
        if name not in train or field not in neuron._arrays() or field not in ranges:
            continue
        integer, real = getattr(neuron, field), getattr(floats, name, None)
        units: Any = 2.0 ** getattr(neuron, "bias_exponent", 0) if name == "bias" else unit
        if real is None or not np.allclose((integer + offset) * units, real):
            continue  # the neuron means something else by the name
        shared = chip.core.threshold_profiles.whole is not None
        group = choose_groups(population, name, np.asarray(real), shared=shared)
        whole = type(floats).has_unit(name)
        of_group = scale[find_first(group)] if whole else np.ones_like(scale[find_first(group)])
        low, high = ranges[field]
        low = max(low, min(1, int(integer.min()))) if name == "threshold" else low
        highest = ranges["bias_exponent"][1] if field == "bias_mantissa" else 0
        unit_of = np.asarray(units, np.float64)
        yield Parameter(field, name, offset, unit_of, of_group, group, low, high, highest)


def _choose_exponent(bias: Tensor, row: Parameter) -> Tensor:
    """Return the smallest exponent with which a mantissa holds each bias."""
    return torch.frexp(bias / (row.high + 0.5)).exponent.clamp(0, row.exponents).double()


def choose_groups(
    population: Population, name: str, value: Floats, *, shared: bool = False
) -> Ints | None:
    """Return the group of each neuron, which has one master; None: all neurons are one group.

    A neuron is a group of its own, or its channel is one where all of it has the same value. One
    number for all neurons stays one; but biases do not, which cost no profile.

    Args:
        population: of the neurons.
        name: of the parameter in the float record.
        value: of the parameter, one or one per neuron.
        shared: whether neurons with equal values share a master.
    """
    size, shape = population.size, population.shape
    each = np.broadcast_to(value, (size,))
    by_channel = each.reshape(shape[0], -1)
    same = len(shape) > 1 and bool((by_channel == by_channel[:, :1]).all())
    groups = np.repeat(np.arange(shape[0]), prod(shape[1:])) if same else np.arange(size)
    if name == "bias":
        return groups
    if not value.ndim:
        return None
    return np.unique(each, return_inverse=True)[1] if shared else groups


def group_weights(wiring: Wiring, shape: tuple[int, ...], *values: Floats) -> Ints | None:
    """Return the channel of each weight of a one-to-one projection that has one weight per channel.

    Its channels share a master: a weight per neuron is no kernel, and takes a list of synapses.
    None: each weight has a master of its own.

    Args:
        wiring: of the weights.
        shape: of the target population.
        values: of each weight; equal in each channel of such a projection.
    """
    if not isinstance(wiring, Scale) or not wiring.per_neuron or len(shape) < 2:
        return None
    by_channel = [value.reshape(shape[0], -1) for value in values]
    if not all((value == value[:, :1]).all() for value in by_channel):
        return None
    return np.repeat(np.arange(shape[0]), prod(shape[1:]))


def is_each_alone(group: Ints) -> bool:
    """Return whether each neuron is a group of its own, in their order."""
    return bool(np.array_equal(group, np.arange(len(group))))


def find_first(group: Ints | None) -> Any:
    """Return the first neuron of each group; of one group the first of all."""
    return 0 if group is None else np.unique(group, return_index=True)[1]


def find_scale_of_weights(wiring: Wiring, scale: Floats) -> Floats:
    """Return the scale of the target of each weight, in a shape that broadcasts to the weights.

    Args:
        wiring: of the weights.
        scale: one per target neuron; equal for those that share a weight.
    """
    plain = wiring.plain
    if isinstance(plain, Dense):
        return scale[:, None]
    if isinstance(plain, Convolution | TransposedConvolution):
        first = np.arange(plain.channels) * prod(plain.target_shape[1:])
        return scale[first].reshape(-1, *(1,) * (len(plain.weight_shape) - 1))
    each = unroll(wiring)
    of_weight = np.full(prod(wiring.weight_shape), scale[0] if len(scale) else 1.0)
    of_weight[each.number] = scale[each.wiring.target]
    return of_weight.reshape(wiring.weight_shape)


def find_unit(network: Graph, projection: Projection) -> float:
    """Return what a master of a weight stands for: the weight times sent / reached.

    `sent` and `reached` are the largest numbers that the source and the target send, if they send
    pixels of 0..255 or graded messages, and 1 of others. Weights that read large numbers are small,
    so an optimizer's steps would be larger than they are.

    Args:
        network: floats, where there are some.
        projection: of the weights.
    """
    return _find_largest_number(network, projection.source) / _find_largest_number(
        network, projection.target
    )


def _find_largest_number(network: Graph, name: str) -> float:
    """Return the largest number that the input or a graded population sends, at least 1."""
    if name != network.input.name:
        neurons = {p.name: p.neuron for p in network.populations}
        if not isinstance(neurons.get(name), Graded | IntegerGraded):
            return 1.0
    payload = network.payload(name)
    largest = max(abs(payload.low), abs(payload.high))
    return float(max(largest, 1)) if isfinite(largest) else 1.0


def _write(array: NDArray[Any]) -> Tensor:
    """Return an array in float64: biases have up to 24 bits."""
    return torch.tensor(np.asarray(array, np.float64))
