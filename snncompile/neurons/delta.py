"""Delta encoder: sends the change of its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert, delta_code
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Interval, State
from snncompile.neurons.fixed import wrap_word

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class Delta(FloatNeuron):
    """Delta encoder, float: the first layer of a sigma-delta network. Its spikes carry numbers.

    One time step, in this order; `x` is the input of this step, whole, not its change:

        delta = x - act + residue
        spike = delta where |delta| >= threshold, else 0
        residue = delta - spike
        act = x
    """

    threshold: Floats
    """Change from which on it is sent, 0 or more, in the unit of the weights."""

    name: ClassVar[str] = "delta"
    states: ClassVar[tuple[str, ...]] = ("act", "residue")
    potential: ClassVar[str] = "act"
    input_shift: ClassVar[int] = 0
    message_unit: ClassVar[int] = 1 << delta_code.SPIKE_EXPONENT

    @property
    def payload(self) -> Interval:
        """Any number that 32 bits hold."""
        return delta_code.bound_payload(np.asarray(0))

    def _check(self) -> None:
        convert.check_not_negative("threshold", self.threshold)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (act, residue) and the output."""
        act, residue = state
        delta = x - act + residue
        spike = delta_code.select_sent(delta, self.threshold)
        return (x, delta - spike), spike

    def nearest_scale(self, scale: float) -> float:
        """Return a power of two, which a shift can undo."""
        return delta_code.round_down_to_power(scale)

    def quantize(self, scale: Any, formats: Formats) -> IntegerDelta:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        return IntegerDelta(
            convert.round_level("threshold", self.threshold * scale),
            delta_code.choose_state_exponent(scale),
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerDelta(IntegerNeuron):
    """Delta encoder, integer: Lava's fixed-point `Delta`, bit for bit, without cum_error.

    Lava declares 24 bits and keeps 32, which wrap. `x` is the accumulated weights times payloads:

        new = wrap32(x << input_exponent)
        delta = wrap32(new - act + residue)
        spike = delta where |delta| >= threshold_level, else 0
        residue = delta - spike
        act = new
        output = spike >> state_exponent      # rounds down; the remainder is lost for good
    """

    threshold_level: Ints
    """In the unit of act: Lava's vth << (spike_exp + state_exp)."""
    state_exponent: Ints
    """Lava's state_exp: bits of a change that are not sent."""
    input_exponent: Ints = 0  # type: ignore[assignment]
    """Lava's spike_exp + state_exp."""

    name: ClassVar[str] = "delta"
    states: ClassVar[tuple[str, ...]] = ("act", "residue")
    potential: ClassVar[str] = "act"

    @property
    def payload(self) -> Interval:
        """Any number that 32 bits without the last `state_exponent` hold."""
        return delta_code.bound_payload(self.state_exponent)

    def _check(self) -> None:
        convert.check_not_negative("threshold_level", self.threshold_level)
        for name in ("state_exponent", "input_exponent"):
            convert.check_exponent(name, getattr(self, name))

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (act, residue) and the output."""
        act, residue = state
        new = wrap_word(x << self.input_exponent)
        delta = wrap_word(new - act + residue)
        spike = delta_code.select_sent(delta, self.threshold_level)
        return (new, delta - spike), spike >> self.state_exponent

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of act and residue; see `IntegerNeuron.bounds`."""
        size = 2.0 ** np.asarray(self.input_exponent)
        act = delta_code.bound_sum(Interval(x.low * size, x.high * size), self.initial, 1)
        return {"act": act, "residue": delta_code.bound_residue(self.threshold_level)}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {"threshold": self.threshold_level.astype(np.float64)}

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the exponents, and the thresholds."""
        both = np.broadcast_arrays(self.state_exponent, self.input_exponent)
        return {"compartment": both[0] * 64 + both[1], "threshold": self.threshold_level}


Delta.integer = IntegerDelta
