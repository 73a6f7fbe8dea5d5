"""The interface of a neuron: a float record, an integer record, one step of each, its facts.

The rest of the compiler asks the record and knows no neuron by its name. Only the name and the
computation have to be stated. Every other fact has a safe default: without a statement of the
neuron no neuron is pruned, no bias is corrected and no range is checked.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np

from snncompile.arrays import Array, Bools, Floats, Ints
from snncompile.neurons.convert import read_limit
from snncompile.neurons.fixed import STATE_LIMIT, STATE_SHIFT
from snncompile.neurons.ranges import Range, list_shared_ranges
from snncompile.neurons.resets import NEAREST, check_reset

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats

State = tuple[Any, ...]

Role = Literal["layer", "answer"]
"""Use of a neuron by conversions.

layer: a layer, whose rates need the excess of the potential over the threshold. answer: the last
layer.
"""
Effect = Literal["wraps", "saturates", "overflows"]
"""Effect of a number beyond its width; overflows: the neuron defines none."""


class Interval(NamedTuple):
    """Lowest and highest value, both included; integer arrays or numbers."""

    low: Any
    high: Any


BINARY = Interval(0, 1)
"""Payload of plain spikes: no spike, or one."""


IN_WEIGHT_UNIT = frozenset(
    ("threshold", "negative_threshold", "threshold_step", "bias", "initial", "lowest")
)
"""Parameters in the unit of the weights, of the neurons here."""


class Width(NamedTuple):
    """Largest magnitude of a state, and the effect beyond it."""

    limit: int = STATE_LIMIT - 1
    """Largest magnitude."""
    effect: Effect = "overflows"


@dataclass(frozen=True, eq=False)
class Neuron(ABC):
    """A set of neuron parameters. Each is one number, shape (), or one per neuron, shape (n,), but
    for tables, which all neurons share.

    `step` uses operators only, so it works on numpy arrays and, after `bind`, on torch tensors.
    """

    initial: Any = field(default=0, kw_only=True)
    """Potential (the state `potential`) at the start of every sample; other states start at 0."""

    name: ClassVar[str]
    """Row of the neuron in the registry."""
    states: ClassVar[tuple[str, ...]]
    """Names of the state variables, in the order of `State`."""
    potential: ClassVar[str] = "v"
    """The state that starts at `initial`."""
    ports: ClassVar[tuple[str, ...]] = ()
    """Names of the inputs, where a neuron has several."""
    spikes: ClassVar[bool] = True
    """Whether the output is spikes; otherwise it is the potential."""
    tables: ClassVar[tuple[str, ...]] = ()
    """Names of parameters that are one table for all neurons, shape (entries,)."""
    instead: ClassVar[str] = ""
    """Remedy for chips that lack the neuron; the end of a message."""
    resets: ClassVar[tuple[str, ...]] = ()
    """Choices of the field `reset`, where a neuron has one; see `resets.Reset`."""

    @property
    def payload(self) -> Interval:
        """Smallest and largest value a spike can carry; 0 is among them."""
        return BINARY

    @property
    def message_sum(self) -> Interval | None:
        """Interval that the sum of its messages never leaves; None: no statement."""
        return None

    @property
    def adds_up(self) -> bool:
        """Whether its states depend on the sum of all that arrived alone, since the start."""
        return False

    @property
    def role(self) -> Role | None:
        """Use of the neuron by conversions; None: they do not use it."""
        return None

    def alternatives(self) -> tuple[Neuron, ...]:
        """Return neurons that come close, the closest first, for a chip that lacks this one.

        By default the same with other resets, and none for layers of converted networks.
        """
        near = () if self.role else NEAREST.get(getattr(self, "reset", ""), ())
        return tuple(
            replace(self, reset=reset)  # type: ignore[call-arg]
            for reset in near
            if reset in self.resets
        )

    def equals(self) -> tuple[Neuron, ...]:
        """Return neurons of other kinds that do the same, bit for bit.

        For every input they have the same output and the same value of `potential` in every time
        step, from integers as from floats; by default there are none.
        """
        return ()

    def __post_init__(self) -> None:
        """Copy and freeze every array parameter; refuse values that its type cannot hold."""
        for name in self._arrays():
            array = np.asarray(getattr(self, name))
            if array.dtype.kind not in "biuf":
                raise ValueError(f"{name} must be numbers")
            if array.ndim > 1:
                raise ValueError(f"{name} must be one number or one per neuron, got {array.shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must be finite")
            if self._dtype is np.int64 and ((array % 1 != 0) | (np.abs(array) >= 2**62)).any():
                raise ValueError(f"{name} must be whole numbers")
            object.__setattr__(self, name, _freeze(array, self._dtype))
        if self._dtype is np.int64 and (np.abs(self.initial) >= STATE_LIMIT).any():
            worst = self.initial.flat[np.abs(self.initial).argmax()]
            raise ValueError(f"initial must be within +-{STATE_LIMIT - 1}, got {worst}")
        if self.resets:
            check_reset(getattr(self, "reset"), self.resets)  # noqa: B009  (not all have it)
        self._check()

    _dtype: ClassVar[type]

    def _check(self) -> None:  # noqa: B027  (a neuron may have no rule)
        """Refuse parameters that make no sense. Ranges of a chip are checked elsewhere."""

    def parameters(self) -> tuple[str, ...]:
        """Return the names of the array parameters in order; last `initial`, where it is not 0."""
        names = self._arrays()
        return names if np.any(self.initial) else names[:-1]

    @classmethod
    def _arrays(cls) -> tuple[str, ...]:
        names = (f.name for f in fields(cls) if f.name not in ("reset", "initial"))
        return (*names, "initial")

    @property
    def kind(self) -> str:
        """Name in chip files: the registry row, and the reset where there is a choice."""
        reset = getattr(self, "reset", None)
        return f"{self.name}/{reset}" if reset else self.name

    def bind(self, convert: Callable[[Array], Any]) -> Self:
        """Return a copy whose parameters are another kind of array (torch tensors, say)."""
        bound = copy.copy(self)
        for name in self._arrays():
            object.__setattr__(bound, name, convert(getattr(self, name)))
        return bound

    def reorder(self, order: Ints) -> Self:
        """Return a copy with the parameters of other neurons, in this order."""
        ordered = copy.copy(self)
        for name in self._arrays():
            if getattr(self, name).ndim and name not in self.tables:
                object.__setattr__(ordered, name, getattr(self, name)[order])
        return ordered

    def begin(self, zero: Any) -> State:
        """Return the states before the first time step of a sample; `zero`: 0 per neuron."""
        return tuple(
            zero + self.initial if name == self.potential else zero for name in self.states
        )

    def listens(self, steps: Ints) -> Bools:
        """Return the own time steps, shape (steps,), in which input can change any neuron.

        In the others its next states and outputs are the same for any input.
        """
        return np.ones(len(steps), np.bool_)

    def __str__(self) -> str:
        """Text form: `cuba_lif/hard current_decay=0.5 threshold=[0.9 .. 1.1]`."""
        parts = [f"{name}={_abbreviate(getattr(self, name))}" for name in self.parameters()]
        return " ".join([self.kind, *parts])

    @abstractmethod
    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next state and the output.

        Args:
            state: of the last time step, or of `begin`.
            x: the synaptic input of this time step, shape (..., n); of a neuron with `ports` one
                after the other, shape (ports, ..., n).
        """


class FloatNeuron(Neuron):
    """Parameters and step in float64: the meaning of the source network."""

    _dtype = np.float64
    integer: ClassVar[type[IntegerNeuron]]
    """Its integer record."""
    input_shift: ClassVar[int] = STATE_SHIFT
    """Bits by which accumulated weights are shifted before they meet the integer states."""
    message_unit: ClassVar[int] = 1
    """Number that the integer network sends for a spike of 1.0."""
    unit_of_inputs: ClassVar[bool] = True
    """Whether its inputs are in the unit of its outputs."""
    bias_adds_up: ClassVar[bool] = False
    """Whether a bias acts like a constant input, and sums over time count.

    If so, the bias corrects the mean error of the rounded weights.
    """

    @property
    def fixed_scale(self) -> float | None:
        """Scale of the integer neuron, if it can have only one."""
        return None

    @property
    def natural_value(self) -> float | None:
        """About the size of what it sends, where its parameters say it.

        Messages are stated in it; see `passes/quantize/messages.py`.
        """
        return None

    @property
    def sends_currents(self) -> bool:
        """Whether it sends currents to its targets, and has their scale and weights."""
        return False

    @classmethod
    def is_share(cls, name: str) -> bool:
        """Whether a parameter is a share (a decay, say), which has no scale."""
        return name.endswith("decay")

    @classmethod
    def has_unit(cls, name: str) -> bool:
        """Whether a parameter is in the unit of the weights; others are shares, steps or counts."""
        return name in IN_WEIGHT_UNIT

    def rescale(self, factor: float) -> Self:
        """Return the neuron in another unit of the weights: one old unit is `factor` new ones."""
        names = [name for name in self._arrays() if self.has_unit(name)]
        return replace(self, **{name: getattr(self, name) * factor for name in names})

    def largest_scale(self, formats: Formats) -> Any:
        """Return the largest scale, one or one per neuron, with which its parameters fit a chip.

        By default for thresholds that become mantissas times 2^6, and for biases. A neuron with
        other parameters in the unit of the weights takes the minimum of this and theirs.
        """
        mantissa = read_limit(formats.threshold_mantissa) * 64
        bias = read_limit(formats.bias_mantissa) << read_limit(formats.bias_exponent)
        highest = {name: mantissa for name in ("threshold", "negative_threshold", "threshold_step")}
        scale = np.asarray(np.inf)
        for name, largest in (highest | {"bias": bias}).items():
            size = np.abs(np.asarray(getattr(self, name, 0.0), np.float64))
            cap = np.divide(largest, size, out=np.full(size.shape, np.inf), where=size > 0)
            scale = np.minimum(scale, cap)
        return scale

    def decode(self, spike_trains: Any) -> Any:
        """Return the share of the scale that its spikes represent, (samples, n).

        Args:
            spike_trains: its output, tensor or array of floats, shape (samples, steps, n).
        """
        return spike_trains.mean(1)

    @property
    def largest_share(self) -> float:
        """Largest share of the scale that its spikes can represent."""
        return 1.0

    def nearest_scale(self, scale: float) -> float:
        """Return the largest scale up to `scale` that the integer neuron can have."""
        return scale

    def reach(self, drive: Floats) -> Floats | None:
        """Return the potential, per neuron, that v must hold for the neuron to fire correctly.

        None where no bound on a step is known.

        Args:
            drive: the largest magnitude of a time step's input with the bias, shape (n,) or ().
        """
        return None

    @abstractmethod
    def quantize(self, scale: Any, formats: Formats) -> IntegerNeuron:
        """Return the integer neuron whose u and v are `scale` times those of this one.

        Args:
            scale: one number, or one per neuron.
            formats: of the chip.

        Raises:
            QuantizeError: a parameter leaves the chip's range; the message names it.
        """


class IntegerNeuron(Neuron):
    """Parameters and step in integers: the meaning of a Program."""

    _dtype = np.int64
    fires_above: ClassVar[bool] = False
    """Whether its first spike needs the potential above `threshold` * 2^6, never lowered.

    If so, a neuron that provably stays below is pruned; see `silent_within`.
    """
    widths: ClassVar[dict[str, Width]] = {
        "u": Width(effect="wraps"),
        "v": Width(effect="saturates"),
    }
    """Width of each quantity of `bounds`; others have that of a potential and overflow."""

    @classmethod
    def width(cls, quantity: str) -> Width:
        """Return the width of a quantity of `bounds`."""
        return cls.widths.get(quantity, Width())

    @classmethod
    def ranges(cls, formats: Formats) -> dict[str, Range]:
        """Return lowest and highest value of each parameter that a chip limits.

        By default of parameters whose names several neurons share; a neuron with others adds them:
        `super().ranges(formats) | {"gain": (0, 15)}`.
        """
        shared = list_shared_ranges(formats)
        return {name: shared[name] for name in cls._arrays() if name in shared}

    def silent_within(self) -> dict[str, Interval] | None:
        """Return intervals of quantities of `bounds` within which no neuron ever fires.

        None: no statement, so none is pruned.
        """
        if not self.fires_above:
            return None
        threshold = getattr(self, "threshold") << STATE_SHIFT  # noqa: B009
        return {self.potential: Interval(-np.inf, threshold)}

    @abstractmethod
    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return an interval that each state variable cannot leave *before* wrap and saturation.

        Args:
            x: accumulated weights of one time step, shape (n,) or (), zero included; shape
                (ports, n) of a neuron with `ports`.
            steps: time steps of one sample; None for any number.
        """

    @abstractmethod
    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers at scale 1, by name."""

    @abstractmethod
    def profile(self) -> dict[str, Array]:
        """Return the entries of the chip's shared tables, one number per entry.

        Keys are `compartment` (decays) and `threshold`; values have shape (n,) or ().
        """


def bound_leaky_sum(x: Any, decay: Ints, steps: int | None) -> Floats:
    """Return the bound of a leaky sum of inputs x: x * min(steps, 4096 / decay).

    From |y[t]| <= (1 - decay/4096) |y[t-1]| + |x|, a geometric series. Infinite without a leak
    and a known number of steps.
    """
    x, decay = np.asarray(x, np.float64), np.asarray(decay)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(decay > 0, 4096.0 / decay, np.inf)
        factor = factor if steps is None else np.minimum(factor, steps)
        return np.where(x == 0, 0.0, x * factor)


def bound_current(x: Interval, decay: Ints, steps: int | None) -> Interval:
    """Return the interval of a current that sums x * 2^6 and loses decay / 4096 in each step.

    A current that can leave its width wraps to the other side; then the interval is larger than
    the width: it states that the current leaves, not how far.
    """
    low, high = (bound_leaky_sum(np.asarray(end) * 64.0, decay, steps) for end in x)
    wraps = (low <= -STATE_LIMIT) | (high > STATE_LIMIT)
    return Interval(
        np.where(wraps, np.minimum(low, -STATE_LIMIT - 1), low),
        np.where(wraps, np.maximum(high, STATE_LIMIT + 1), high),
    )


def widen_by_start(initial: Ints, interval: Interval) -> Interval:
    """Return the interval of a sum that starts at `initial`, from that of a sum that starts at 0.

    The rest of the start has its sign and at most its size.
    """
    return Interval(interval.low + np.minimum(initial, 0), interval.high + np.maximum(initial, 0))


def _freeze(value: Any, dtype: type) -> Array:
    array: Array = np.array(value, dtype=dtype)
    array.flags.writeable = False
    return array


def _abbreviate(array: Array) -> str:
    if array.size == 1 or array.min() == array.max():
        return f"{array.flat[0]:g}"
    return f"[{array.min():g} .. {array.max():g}]"
