"""Sigma-delta neuron: adds up changes, rectifies, sends its own changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert, delta_code
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Interval, State
from snncompile.neurons.fixed import STATE_LIMIT, wrap_word

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class SigmaDelta(FloatNeuron):
    """Sigma-delta neuron with a rectifier, float. Its spikes carry numbers.

    One time step, in this order; `x` is the synaptic input that arrived in this step, sums of
    changes of the sources:

        sigma = sigma + x
        new = max(sigma + bias, 0)
        delta = new - act + residue
        spike = delta where |delta| >= threshold, else 0
        residue = delta - spike
        act = new

    So the sum of all spikes follows the activation to within the threshold, and a value that does
    not change costs no message: the rest of a change waits in the residue.
    """

    threshold: Floats
    """Change from which on it is sent, 0 or more, in the unit of the weights."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added before the rectifier, in every time step to the same effect: it is not summed up."""

    name: ClassVar[str] = "sigma_delta"
    states: ClassVar[tuple[str, ...]] = ("sigma", "act", "residue")
    potential: ClassVar[str] = "sigma"
    input_shift: ClassVar[int] = 0
    message_unit: ClassVar[int] = 1 << delta_code.SPIKE_EXPONENT

    @property
    def payload(self) -> Interval:
        """Any number that 32 bits hold."""
        return delta_code.bound_payload(np.asarray(0))

    def _check(self) -> None:
        convert.check_not_negative("threshold", self.threshold)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (sigma, act, residue) and the output."""
        sigma, act, residue = state
        sigma = sigma + x
        new = (sigma + self.bias).clip(0)
        delta = new - act + residue
        spike = delta_code.select_sent(delta, self.threshold)
        return (sigma, new, delta - spike), spike

    def largest_scale(self, formats: Formats) -> Any:
        """Return the largest scale; threshold and bias are numbers of 24 bits, without mantissas.

        See `FloatNeuron.largest_scale`. Source: lava-nc 0.10.0, proc/sdn/models.py, the precisions
        of PySigmaDeltaModelFixed.
        """
        size = np.maximum(np.abs(self.threshold), np.abs(self.bias)).astype(np.float64)
        return np.divide(STATE_LIMIT - 1, size, out=np.full(size.shape, np.inf), where=size > 0)

    def nearest_scale(self, scale: float) -> float:
        """Return a power of two, which a shift can undo."""
        return delta_code.round_down_to_power(scale)

    def quantize(self, scale: Any, formats: Formats) -> IntegerSigmaDelta:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        return IntegerSigmaDelta(
            convert.round_level("threshold", self.threshold * scale),
            delta_code.choose_state_exponent(scale),
            convert.round_level("bias", self.bias * scale),
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerSigmaDelta(IntegerNeuron):
    """Sigma-delta neuron with a rectifier, integer: Lava's fixed-point `SigmaDelta`, bit for bit.

    As in lava-nc 0.10.0, without cum_error (a "corrected" model came later and differs). Lava
    declares 24 bits and keeps 32, which wrap; the bounds report when 24 are left. `x` is the
    accumulated weights times payloads, not shifted:

        sigma = wrap32(sigma + x)
        new = max(wrap32(sigma + bias_level), 0)
        delta = wrap32(new - act + residue)
        spike = delta where |delta| >= threshold_level, else 0
        residue = delta - spike
        act = new
        output = spike >> state_exponent      # rounds down

    The remainder of the shift is lost, so the sum of the output falls behind the activation by up
    to 1 per message.
    """

    threshold_level: Ints
    """In the unit of sigma: Lava's vth << (spike_exp + state_exp)."""
    state_exponent: Ints
    """Lava's state_exp: bits of a change that are not sent."""
    bias_level: Ints = 0  # type: ignore[assignment]
    """In the unit of sigma: Lava's bias << (spike_exp + state_exp)."""

    name: ClassVar[str] = "sigma_delta"
    states: ClassVar[tuple[str, ...]] = ("sigma", "act", "residue")
    potential: ClassVar[str] = "sigma"

    @property
    def payload(self) -> Interval:
        """Any number that 32 bits without the last `state_exponent` hold."""
        return delta_code.bound_payload(self.state_exponent)

    def _check(self) -> None:
        convert.check_not_negative("threshold_level", self.threshold_level)
        convert.check_exponent("state_exponent", self.state_exponent)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (sigma, act, residue) and the output."""
        sigma, act, residue = state
        sigma = wrap_word(sigma + x)
        new = wrap_word(sigma + self.bias_level).clip(0)
        delta = wrap_word(new - act + residue)
        spike = delta_code.select_sent(delta, self.threshold_level)
        return (sigma, new, delta - spike), spike >> self.state_exponent

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of sigma, act and residue; see `IntegerNeuron.bounds`.

        Only the range of one message is known, not a bound on the sum of messages, so sigma has a
        bound for a known number of time steps only.
        """
        sigma = delta_code.bound_sum(x, self.initial, steps)
        act = Interval(np.zeros_like(sigma.high), np.maximum(sigma.high + self.bias_level, 0))
        return {
            "sigma": sigma,
            "act": act,
            "residue": delta_code.bound_residue(self.threshold_level),
        }

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {
            "threshold": self.threshold_level.astype(np.float64),
            "bias": self.bias_level.astype(np.float64),
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the exponents, and the thresholds."""
        return {"compartment": self.state_exponent, "threshold": self.threshold_level}


SigmaDelta.integer = IntegerSigmaDelta
