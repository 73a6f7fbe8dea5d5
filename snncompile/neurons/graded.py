"""Graded neuron: sends a function of what arrives in a time step as one number, keeps no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.errors import QuantizeError
from snncompile.neurons import convert
from snncompile.neurons.accumulate import IntegerAccumulate
from snncompile.neurons.base import (
    BINARY,
    FloatNeuron,
    IntegerNeuron,
    Interval,
    Role,
    State,
)
from snncompile.neurons.delta_code import SPIKE_EXPONENT
from snncompile.neurons.fixed import STATE_LIMIT, limit
from snncompile.neurons.ranges import Range

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats

LARGEST_FACTOR = (1 << 15) - 1
LARGEST_SHIFT = 31
INSTEAD = (
    "its spikes are numbers; if it is of a maximum pool, put that behind the neuron layer, or use"
    " average pooling, and train with it"
)


@dataclass(frozen=True, eq=False)
class Graded(FloatNeuron):
    """Graded neuron, float.

    v = factor * (x + bias), rounded half up if `whole`
    v = v limited to lowest .. highest
    output = v, or table[v - lowest] where there is a table

    A rectifier is the one with lowest = 0. With `whole` its numbers are whole, the same in the
    integer network as in the float one, in which the factor makes up for the scale of the weights.
    Without, it sends currents to its targets: its scale is theirs, and so are its weights; see
    `passes/quantize/currents.py`.
    """

    factor: Floats = 1.0  # type: ignore[assignment]
    """Factor of the input, positive."""
    lowest: Floats = 1.0 - STATE_LIMIT  # type: ignore[assignment]
    """Smallest v, 0 or less."""
    highest: Floats = STATE_LIMIT - 1.0  # type: ignore[assignment]
    """Largest v, 0 or more."""
    whole: Floats = 1.0  # type: ignore[assignment]
    """1: sends whole numbers. 0: sends currents."""
    table: Floats = ()  # type: ignore[assignment]
    """Output for each v from `lowest` to `highest`, which then are the same for all neurons; empty:
    v itself. Whole numbers, only with `whole`."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to the input; not of currents."""
    values: Floats = 0.0  # type: ignore[assignment]
    """1, only without `whole`: sends values, each 2^6 times its share of a natural value as an
    integer; see `passes/quantize/messages.py`. So any scale will do, and any weights behind it."""

    name: ClassVar[str] = "graded"
    states: ClassVar[tuple[str, ...]] = ("v",)
    tables: ClassVar[tuple[str, ...]] = ("table",)
    instead: ClassVar[str] = INSTEAD
    input_shift: ClassVar[int] = 0

    def _check(self) -> None:
        convert.check_positive("factor", self.factor)
        convert.check_not_positive("lowest", self.lowest)
        convert.check_not_negative("highest", self.highest)
        if self.whole.ndim or self.whole not in (0, 1):
            raise ValueError("whole must be 0 or 1, one for all neurons")
        if self.values.ndim or self.values not in (0, 1) or (self.values and self.whole):
            raise ValueError("values must be 0 or 1, and 0 with whole numbers")
        if self.whole:
            for name in ("lowest", "highest"):
                if (getattr(self, name) % 1 != 0).any():
                    raise ValueError(f"{name} must be whole numbers, as what is sent")
        elif self.table.size:
            raise ValueError("a table needs whole = 1: its entries are numbered")
        elif self.bias.any() and not self.values:
            raise ValueError("a bias needs whole = 1: currents have that of their target")
        _check_table(self.table, self.lowest, self.highest)

    @classmethod
    def has_unit(cls, name: str) -> bool:
        """Whether a parameter is in the unit of the weights: the limits are."""
        return name in ("lowest", "highest", "initial", "bias")

    @classmethod
    def is_share(cls, name: str) -> bool:
        """Whether a parameter has no scale: the factor."""
        return name == "factor"

    @property
    def kind(self) -> str:
        """Name in chip files; scaled where it multiplies, adds a bias or looks up."""
        return _name_kind(self)

    @property
    def role(self) -> Role | None:
        """A layer, where it is scaled: as of converted networks."""
        return "layer" if self.kind != self.name else None

    @property
    def sends_currents(self) -> bool:
        """Whether its scale is that of its targets."""
        return not self.whole and not self.values

    @property
    def message_unit(self) -> int:  # type: ignore[override]
        """Number that the integer network sends for an output of 1.0."""
        return 1 << SPIKE_EXPONENT if self.values else 1

    @property
    def payload(self) -> Interval:
        """From the smallest to the largest output, 0 among them; of values, as integers."""
        unit = self.message_unit
        return _bound_payload(self.table, self.lowest * unit, self.highest * unit)

    def parameters(self) -> tuple[str, ...]:
        """Return the names of the array parameters; some only where they are not 0 or empty."""
        names = _leave_out_unused(super().parameters(), self.table, self.bias)
        return names if self.values else tuple(name for name in names if name != "values")

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v,) and the output."""
        v = (x + self.bias) * self.factor
        if self.whole:
            v = (v + 0.5) // 1
        v = limit(v, self.lowest, self.highest)
        return (v,), _look_up(self.table, v, self.lowest, self.payload)

    @property
    def fixed_scale(self) -> float | None:
        """Return 1 of whole numbers with whole weights; others: `passes/quantize/graded.py`."""
        return 1.0 if self.whole else None

    def decode(self, spike_trains: Any) -> Any:
        """Return the output as a share of the largest one; see `FloatNeuron.decode`."""
        low, high = self.payload
        return spike_trains.mean(1) / max(-float(low), float(high), 1.0)

    def quantize(self, scale: Any, formats: Formats) -> IntegerGraded:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        return IntegerGraded(**self._quantize_all(scale))

    def _quantize_all(self, scale: Any) -> dict[str, Ints]:
        """Return the parameters of the integer neuron by name."""
        ends, share = (scale, 1.0) if self.sends_currents else (self.message_unit, scale)
        factor, shift = round_factor(self.factor * self.message_unit / share)
        lowest, highest = (
            np.clip(round_(end * ends), 1 - STATE_LIMIT, STATE_LIMIT - 1).astype(np.int64)
            for round_, end in ((np.floor, self.lowest), (np.ceil, self.highest))
        )
        return {
            "factor": factor,
            "shift": shift,
            "lowest": lowest,
            "highest": highest,
            "table": self.table.astype(np.int64),
            "bias": convert.round_level("bias", self.bias * scale),
            "initial": convert.round_initial(self.initial * scale),
        }


@dataclass(frozen=True, eq=False)
class IntegerGraded(IntegerNeuron):
    """Graded neuron, integer. `x` is the accumulated weights, which are not shifted:

    v = ((x + bias) * factor + 2^(shift - 1)) >> shift     # + 0 where shift is 0
    v = v limited to lowest .. highest
    output = v, or table[v - lowest] where there is a table

    No state stays for the next time step, so the output does not depend on `initial`. With a
    factor of 1, no shift and no table it is `IntegerAccumulate`, which needs less of a chip.
    """

    factor: Ints = 1  # type: ignore[assignment]
    shift: Ints = 0  # type: ignore[assignment]
    lowest: Ints = 1 - STATE_LIMIT  # type: ignore[assignment]
    """Smallest v, 0 or less."""
    highest: Ints = STATE_LIMIT - 1  # type: ignore[assignment]
    """Largest v, 0 or more."""
    table: Ints = ()  # type: ignore[assignment]
    """Output for each v from `lowest` to `highest`; empty: v itself."""
    bias: Ints = 0  # type: ignore[assignment]
    """Added to the accumulated weights, in their unit."""

    name: ClassVar[str] = "graded"
    states: ClassVar[tuple[str, ...]] = ("v",)
    tables: ClassVar[tuple[str, ...]] = ("table",)
    instead: ClassVar[str] = INSTEAD

    def _check(self) -> None:
        convert.check_positive("factor", self.factor)
        convert.check_exponent("shift", self.shift)
        convert.check_not_positive("lowest", self.lowest)
        convert.check_not_negative("highest", self.highest)
        _check_table(self.table, self.lowest, self.highest)

    @property
    def kind(self) -> str:
        """Name in chip files; scaled where it multiplies, adds a bias or looks up."""
        return _name_kind(self)

    @property
    def role(self) -> Role | None:
        """A layer, where it is scaled: as of converted networks."""
        return "layer" if self.kind != self.name else None

    def equals(self) -> tuple[IntegerNeuron, ...]:
        """Return an accumulating neuron, where nothing is multiplied and no table is read."""
        if (
            self.table.size
            or self.bias.any()
            or (self.factor != 1).any()
            or self.shift.any()
            or (self.highest < 1).any()
        ):
            return ()
        return (IntegerAccumulate(self.lowest, self.highest, initial=self.initial),)

    @property
    def payload(self) -> Interval:
        """From the smallest to the largest output, 0 among them."""
        return _bound_payload(self.table, self.lowest, self.highest)

    def parameters(self) -> tuple[str, ...]:
        """Return the names of the array parameters; `table` and `bias` only where there is one."""
        return _leave_out_unused(super().parameters(), self.table, self.bias)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v,) and the output."""
        half = ((self.shift * 0 + 1) << self.shift) >> 1
        scaled = ((x + self.bias) * self.factor + half) >> self.shift
        v = limit(scaled, self.lowest, self.highest)
        return (v,), _look_up(self.table, v, self.lowest, self.payload)

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the interval of the accumulated weights and of v; see `IntegerNeuron.bounds`."""
        x = Interval(
            np.asarray(x.low) + np.minimum(self.bias, 0),
            np.asarray(x.high) + np.maximum(self.bias, 0),
        )
        low = np.minimum(np.minimum(x.low, self.initial), self.lowest * (x.low < 0))
        high = np.maximum(np.maximum(x.high, self.initial), self._limit_highest(x.high))
        return {"v": Interval(low, high)}

    def _limit_highest(self, x: Any) -> Any:
        """Return the largest v that accumulated weights up to x bring."""
        scaled = (np.asarray(x) * self.factor.astype(np.float64)) / 2.0**self.shift + 1
        return np.where(np.asarray(x) > 0, np.minimum(np.ceil(scaled), self.highest), 0)

    @classmethod
    def ranges(cls, formats: Formats) -> dict[str, Range]:
        """Return the ranges of its parameters; those of factor and shift are assumed."""
        own = {
            "factor": (1, LARGEST_FACTOR),
            "shift": (0, LARGEST_SHIFT),
            "highest": (0, STATE_LIMIT - 1),
            "table": (1 - STATE_LIMIT, STATE_LIMIT - 1),
            "bias": (1 - STATE_LIMIT, STATE_LIMIT - 1),
        }
        return super().ranges(formats) | own

    def real(self) -> dict[str, Floats]:
        """Return the factor, and a bias; limits have the scale of the targets."""
        factor = {"factor": self.factor / 2.0**self.shift}
        return factor | ({"bias": self.bias.astype(np.float64)} if self.bias.any() else {})

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the largest v, and the smallest."""
        return {"compartment": -self.lowest, "threshold": self.highest}


def round_factor(factor: Floats, largest_shift: int = LARGEST_SHIFT) -> tuple[Ints, Ints]:
    """Return m and n with m / 2^n nearest to a factor, m within 15 bits, n as small as that allows.

    Args:
        factor: positive.
        largest_shift: largest n.

    Raises:
        QuantizeError: a factor is too large or too small.
    """
    if (factor > LARGEST_FACTOR).any() or (factor < 2.0**-largest_shift).any():
        ends = f"2^-{largest_shift}..{LARGEST_FACTOR}"
        raise QuantizeError(f"factor {factor.flat[0]:g} is outside {ends}")
    shift = np.clip(np.floor(np.log2(LARGEST_FACTOR / factor)), 0, largest_shift).astype(np.int64)
    whole = np.rint(factor * 2.0**shift).astype(np.int64)
    for _ in range(largest_shift):
        even = (whole % 2 == 0) & (shift > 0)
        whole, shift = np.where(even, whole >> 1, whole), np.where(even, shift - 1, shift)
    return whole, shift


def _name_kind(neuron: Graded | IntegerGraded) -> str:
    scaled = neuron.table.size or neuron.bias.any() or (neuron.factor != 1).any()
    scaled = scaled or getattr(neuron, "values", 0)
    return f"{neuron.name}/scaled" if scaled else neuron.name


def _leave_out_unused(names: tuple[str, ...], table: Any, bias: Any) -> tuple[str, ...]:
    unused = {"table"} if not table.size else set()
    unused |= {"bias"} if not bias.any() else set()
    return tuple(name for name in names if name not in unused)


def _check_table(table: Any, lowest: Any, highest: Any) -> None:
    if not table.size:
        return
    if lowest.ndim or highest.ndim:
        raise ValueError("a table needs one lowest and one highest for all neurons")
    wanted = int(highest - lowest) + 1
    if table.shape != (wanted,):
        raise ValueError(f"table has {table.size} entries for {wanted} numbers")
    if ((table % 1 != 0) | (np.abs(table) >= STATE_LIMIT)).any():
        raise ValueError(f"table must hold whole numbers within +-{STATE_LIMIT - 1}")


def _bound_payload(table: Any, lowest: Any, highest: Any) -> Interval:
    if table.shape[0]:
        return Interval(min(0, int(table.min())), max(0, int(table.max())))
    low, high = float(lowest.min()), float(highest.max())
    top = STATE_LIMIT - 1
    return Interval(max(-top, int(np.floor(low))), min(top, int(np.ceil(high))))


def _look_up(table: Any, v: Any, lowest: Any, payload: Interval) -> Any:
    """Return the output of v; plain spikes are true or false, as those of all neurons."""
    if table.shape[0]:
        index = v - lowest
        v = table[index.long() if hasattr(index, "long") else index.astype(np.int64)]
    return v > 0 if payload == BINARY else v


Graded.integer = IntegerGraded
