"""Accumulating neuron: sends the input of a time step as one number, and keeps no state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Interval, State
from snncompile.neurons.fixed import STATE_LIMIT, limit

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class Accumulate(FloatNeuron):
    """Accumulating neuron, float. It passes partial sums on, so its scale is always 1.

    v = x limited to lowest .. most
    output = v
    """

    lowest: Floats = 1.0 - STATE_LIMIT  # type: ignore[assignment]
    """Smallest number it sends, 0 or less."""
    most: Floats = STATE_LIMIT - 1.0  # type: ignore[assignment]
    """Largest number it sends, a whole number of 1 or more."""

    name: ClassVar[str] = "accumulate"
    states: ClassVar[tuple[str, ...]] = ("v",)
    input_shift: ClassVar[int] = 0

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

    @property
    def fixed_scale(self) -> float | None:
        """Return 1: the output is the input."""
        return 1.0

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
