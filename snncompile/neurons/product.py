"""Product of two inputs: sends what arrives at one times what arrives at the other."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import (
    BINARY,
    FloatNeuron,
    IntegerNeuron,
    Interval,
    State,
    Width,
)
from snncompile.neurons.delta_code import SPIKE_EXPONENT
from snncompile.neurons.fixed import STATE_LIMIT, limit, saturate
from snncompile.neurons.graded import LARGEST_FACTOR, round_factor
from snncompile.neurons.ranges import Range

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats

PORTS = ("a", "b")
INSTEAD = (
    "its spikes are numbers; multiply spikes that are 0 or 1, add instead of multiplying, or train"
    " without the gate"
)
LARGEST_SHIFT = 47
"""Two sums of 24 bits and a factor of 15 need no more."""
LOWEST, HIGHEST = 1.0 - STATE_LIMIT, STATE_LIMIT - 1.0


@dataclass(frozen=True, eq=False)
class Product(FloatNeuron):
    """Product of two inputs, float. `a` and `b` are what arrived at these ports in this step:

    v = factor * (a + bias_a) * (b + bias_b), rounded half up if `whole`
    v = v limited to lowest .. highest
    output = v

    With `whole` its numbers are whole, the same in the integer network as in the float one.
    Without, the integer network sends 2^6 for a natural value; see `quantize/messages.py`.
    """

    factor: Floats = 1.0  # type: ignore[assignment]
    """Factor of the product, positive."""
    lowest: Floats = LOWEST  # type: ignore[assignment]
    """Smallest v, 0 or less."""
    highest: Floats = HIGHEST  # type: ignore[assignment]
    """Largest v, 0 or more."""
    whole: Floats = 1.0  # type: ignore[assignment]
    """1: sends whole numbers. 0: sends values."""
    bias_a: Floats = 0.0  # type: ignore[assignment]
    """Added to what arrives at `a`."""
    bias_b: Floats = 0.0  # type: ignore[assignment]
    """Added to what arrives at `b`."""

    name: ClassVar[str] = "product"
    states: ClassVar[tuple[str, ...]] = ("v",)
    ports: ClassVar[tuple[str, ...]] = PORTS
    instead: ClassVar[str] = INSTEAD
    input_shift: ClassVar[int] = 0
    unit_of_inputs: ClassVar[bool] = False

    def _check(self) -> None:
        convert.check_positive("factor", self.factor)
        convert.check_not_positive("lowest", self.lowest)
        convert.check_not_negative("highest", self.highest)
        if self.whole.ndim or self.whole not in (0, 1):
            raise ValueError("whole must be 0 or 1, one for all neurons")
        if self.whole and ((self.lowest % 1 != 0).any() or (self.highest % 1 != 0).any()):
            raise ValueError("lowest and highest must be whole numbers, as what is sent")

    @classmethod
    def has_unit(cls, name: str) -> bool:
        """Whether a parameter is in the unit of the output; its inputs have units of their own."""
        return name in ("factor", "lowest", "highest", "initial")

    @property
    def kind(self) -> str:
        """Name in chip files; scaled where it does more than Lava's `ProdNeuron`."""
        plain = self.whole and (self.factor == 1).all()
        return _name_kind(self, plain=bool(plain))

    @property
    def message_unit(self) -> int:  # type: ignore[override]
        """Number that the integer network sends for an output of 1.0."""
        return 1 if self.whole else 1 << SPIKE_EXPONENT

    @property
    def payload(self) -> Interval:
        """From the smallest to the largest message."""
        unit = self.message_unit
        low, high = float(self.lowest.min()) * unit, float(self.highest.max()) * unit
        return Interval(int(np.floor(max(low, LOWEST))), int(np.ceil(min(high, HIGHEST))))

    def parameters(self) -> tuple[str, ...]:
        """Return the names of the array parameters; a bias only where there is one."""
        names = super().parameters()
        return tuple(n for n in names if not n.startswith("bias") or getattr(self, n).any())

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v,) and the output."""
        v = self.factor * (x[0] + self.bias_a) * (x[1] + self.bias_b)
        if self.whole:
            v = (v + 0.5) // 1
        v = limit(v, self.lowest, self.highest)
        return (v,), v > 0 if self.whole and self.payload == BINARY else v

    def decode(self, spike_trains: Any) -> Any:
        """Return the output as a share of the largest one; see `FloatNeuron.decode`."""
        return spike_trains.mean(1) / max(-float(self.lowest.min()), float(self.highest.max()), 1.0)

    def quantize(self, scale: Any, formats: Formats) -> IntegerProduct:
        """Return the integer neuron without biases.

        Args:
            scale: product of the scales of both inputs, one or one per neuron.
            formats: of the chip.
        """
        return self.quantize_ports(scale, np.asarray(1.0))

    def quantize_ports(self, scale_a: Any, scale_b: Any) -> IntegerProduct:
        """Return the integer neuron.

        Args:
            scale_a: integer sum at `a` per float sum, one or one per neuron.
            scale_b: the same at `b`.
        """
        unit = self.message_unit
        factor, shift = round_factor(
            self.factor * unit / np.asarray(scale_a * scale_b), LARGEST_SHIFT
        )
        lowest = np.floor(self.lowest * unit).clip(LOWEST).astype(np.int64)
        highest = np.ceil(self.highest * unit).clip(None, HIGHEST).astype(np.int64)
        return IntegerProduct(
            factor,
            shift,
            lowest,
            highest,
            convert.round_level("bias_a", self.bias_a * scale_a),
            convert.round_level("bias_b", self.bias_b * scale_b),
            initial=convert.round_initial(self.initial * (scale_a * scale_b)),
        )


@dataclass(frozen=True, eq=False)
class IntegerProduct(IntegerNeuron):
    """Product of two inputs, integer. `a` and `b` are accumulated weights, which are not shifted:

    a = a + bias_a limited to 24 bits, b = b + bias_b limited to 24 bits
    v = (a * b * factor + 2^(shift - 1)) >> shift     # + 0 where shift is 0
    v = v limited to lowest .. highest
    output = v

    With a factor of 1, no shift, no biases and the widest limits it is Lava's `ProdNeuron` with an
    `exp` of 0 and a `vth` of 0, as long as a * b stays within 24 bits: Lava limits nothing. No
    state stays for the next time step, so the output does not depend on `initial`.
    """

    factor: Ints = 1  # type: ignore[assignment]
    shift: Ints = 0  # type: ignore[assignment]
    lowest: Ints = 1 - STATE_LIMIT  # type: ignore[assignment]
    """Smallest v, 0 or less."""
    highest: Ints = STATE_LIMIT - 1  # type: ignore[assignment]
    """Largest v, 0 or more."""
    bias_a: Ints = 0  # type: ignore[assignment]
    """Added to the accumulated weights at `a`."""
    bias_b: Ints = 0  # type: ignore[assignment]
    """Added to the accumulated weights at `b`."""

    name: ClassVar[str] = "product"
    states: ClassVar[tuple[str, ...]] = ("v",)
    ports: ClassVar[tuple[str, ...]] = PORTS
    instead: ClassVar[str] = INSTEAD
    widths: ClassVar[dict[str, Width]] = {port: Width(effect="saturates") for port in (*PORTS, "v")}

    def _check(self) -> None:
        convert.check_positive("factor", self.factor)
        if (self.factor > LARGEST_FACTOR).any():
            raise ValueError(f"factor must be at most {LARGEST_FACTOR}, got {self.factor.max()}")
        if ((self.shift < 0) | (self.shift > LARGEST_SHIFT)).any():
            raise ValueError(f"shift must be between 0 and {LARGEST_SHIFT}, got {self.shift.max()}")
        convert.check_not_positive("lowest", self.lowest)
        convert.check_not_negative("highest", self.highest)

    @property
    def kind(self) -> str:
        """Name in chip files; scaled where it does more than Lava's `ProdNeuron`."""
        plain = (self.factor == 1).all() and not self.shift.any()
        return _name_kind(self, plain=bool(plain))

    @property
    def payload(self) -> Interval:
        """From the smallest to the largest output."""
        return Interval(int(self.lowest.min()), int(self.highest.max()))

    def parameters(self) -> tuple[str, ...]:
        """Return the names of the array parameters that are not as in Lava's `ProdNeuron`."""
        usual = {field.name: field.default for field in fields(self)}
        return tuple(n for n in super().parameters() if (getattr(self, n) != usual[n]).any())

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v,) and the output."""
        half = ((self.shift * 0 + 1) << self.shift) >> 1
        a, b = saturate(x[0] + self.bias_a), saturate(x[1] + self.bias_b)
        v = limit((a * b * self.factor + half) >> self.shift, self.lowest, self.highest)
        return (v,), v > 0 if self.payload == BINARY else v

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of both sums and of v; see `IntegerNeuron.bounds`.

        Of v after its limits, which are part of the function that it computes.
        """
        a, b = (
            Interval(np.asarray(x.low)[i] + bias, np.asarray(x.high)[i] + bias)
            for i, bias in enumerate((self.bias_a, self.bias_b))
        )
        reach = np.maximum(-self.lowest, self.highest)
        initial = np.abs(self.initial)
        reached = np.maximum(np.minimum(reach, self._bound_product(a, b)), initial)
        return {"a": a, "b": b, "v": Interval(-reached, reached)}

    def _bound_product(self, a: Interval, b: Interval) -> Any:
        """Return the largest magnitude of v before its limits."""
        largest_a, largest_b = (np.maximum(-np.asarray(p.low), p.high) for p in (a, b))
        product = largest_a * largest_b * self.factor.astype(np.float64)
        return np.where(product > 0, np.ceil(product / 2.0**self.shift) + 1, 0)

    @classmethod
    def ranges(cls, formats: Formats) -> dict[str, Range]:
        """Return the ranges of its parameters; those of factor and shift are assumed."""
        level = (1 - STATE_LIMIT, STATE_LIMIT - 1)
        own = {
            "factor": (1, LARGEST_FACTOR),
            "shift": (0, LARGEST_SHIFT),
            "highest": (0, STATE_LIMIT - 1),
        }
        return super().ranges(formats) | own | {"bias_a": level, "bias_b": level}

    def real(self) -> dict[str, Floats]:
        """Return no parameter: their scales are those of two inputs, which the record lacks."""
        return {}

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the multipliers with their shifts, and the largest v."""
        factor, shift = np.broadcast_arrays(self.factor, self.shift)
        return {"compartment": factor * 2**6 + shift, "threshold": self.highest}


def _name_kind(neuron: Product | IntegerProduct, *, plain: bool) -> str:
    plain = plain and not neuron.bias_a.any() and not neuron.bias_b.any()
    return neuron.name if plain else f"{neuron.name}/scaled"


Product.integer = IntegerProduct
