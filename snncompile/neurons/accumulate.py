"""Accumulating neuron: sends the input of a time step as one number, and keeps no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Interval, State
from snncompile.neurons.delta_code import SPIKE_EXPONENT
from snncompile.neurons.fixed import STATE_LIMIT, limit

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class Accumulate(FloatNeuron):
    """Accumulating neuron, float. It passes partial sums on, so its scale is always the same.

    v = x limited to lowest .. most
    output = v

    With `values` it passes values on, each 2^6 times its share of a natural value as an integer;
    see `passes/quantize/messages.py`. Then the limits are those of the integers alone.
    """

    lowest: Floats = 1.0 - STATE_LIMIT  # type: ignore[assignment]
    """Smallest number it sends, 0 or less."""
    most: Floats = STATE_LIMIT - 1.0  # type: ignore[assignment]
    """Largest number it sends, a whole number of 1 or more."""
    values: Floats = 0.0  # type: ignore[assignment]
    """1: passes values on. 0: whole numbers."""

    name: ClassVar[str] = "accumulate"
    states: ClassVar[tuple[str, ...]] = ("v",)
    input_shift: ClassVar[int] = 0

    def _check(self) -> None:
        convert.check_not_positive("lowest", self.lowest)
        convert.check_steps("most", self.most, 1)
        if self.values.ndim or self.values not in (0, 1):
            raise ValueError("values must be 0 or 1, one for all neurons")

    @classmethod
    def has_unit(cls, name: str) -> bool:
        """Whether a parameter is in the unit of the weights: limits are those of messages."""
        return name == "initial"

    @property
    def message_unit(self) -> int:  # type: ignore[override]
        """Number that the integer network sends for an output of 1.0."""
        return 1 << SPIKE_EXPONENT if self.values else 1

    @property
    def payload(self) -> Interval:
        """From the smallest to the largest number."""
        return _bound_payload(self.lowest, self.most)

    def parameters(self) -> tuple[str, ...]:
        """Return the names of the array parameters; `values` only where it is not 0."""
        names = super().parameters()
        return names if self.values else tuple(name for name in names if name != "values")

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v,) and the output."""
        v = x if self.values else limit(x, self.lowest, self.most)
        return (v,), v

    @property
    def fixed_scale(self) -> float | None:
        """Return the unit of messages: the output is the input."""
        return float(self.message_unit)

    def quantize(self, scale: Any, formats: Formats) -> IntegerAccumulate:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        return IntegerAccumulate(
            np.floor(self.lowest).astype(np.int64),
            self.most.astype(np.int64),
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerAccumulate(IntegerNeuron):
    """Accumulating neuron, integer. `x` is the accumulated weights, which are not shifted:

    v = x limited to lowest .. most
    output = v

    No state stays for the next time step, so the output does not depend on `initial`.
    """

    lowest: Ints = 1 - STATE_LIMIT  # type: ignore[assignment]
    """Smallest number it sends, 0 or less."""
    most: Ints = STATE_LIMIT - 1  # type: ignore[assignment]
    """Largest number it sends, 1 or more."""

    name: ClassVar[str] = "accumulate"
    states: ClassVar[tuple[str, ...]] = ("v",)

    def _check(self) -> None:
        convert.check_not_positive("lowest", self.lowest)
        convert.check_steps("most", self.most, 1)

    @property
    def payload(self) -> Interval:
        """From the smallest to the largest number."""
        return _bound_payload(self.lowest, self.most)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v,) and the output."""
        v = limit(x, self.lowest, self.most)
        return (v,), v

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the interval of v before it is limited; see `IntegerNeuron.bounds`."""
        low, high = np.minimum(x.low, self.initial), np.maximum(x.high, self.initial)
        return {"v": Interval(low, high)}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers."""
        return {
            "lowest": self.lowest.astype(np.float64),
            "most": self.most.astype(np.float64),
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the largest output, and the smallest."""
        return {"compartment": -self.lowest, "threshold": self.most}


def _bound_payload(lowest: Any, highest: Any) -> Interval:
    return Interval(int(np.floor(lowest.min())), int(highest.max()))


Accumulate.integer = IntegerAccumulate
