"""Current-based leaky integrate-and-fire neuron with two thresholds: it sends -1, 0 or 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import (
    FloatNeuron,
    IntegerNeuron,
    Interval,
    State,
    bound_current,
    bound_leaky_sum,
    widen_by_start,
)
from snncompile.neurons.fixed import STATE_SHIFT, apply_decay, saturate, shift_bias, wrap

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class TernaryLif(FloatNeuron):
    """Current-based leaky integrate-and-fire neuron with a positive and a negative spike, float.

    One time step, in this order; `x` is the synaptic input that arrived in this step:

        u = (1 - current_decay) * u + x
        v = (1 - potential_decay) * v + u + bias
        spike = +1   where v > threshold
        spike = -1   where v < negative_threshold
        spike = 0    elsewhere
        v = 0        where spike is not 0
    """

    current_decay: Floats
    """Share of the current lost in one time step, 0..1; 1: no memory in the current."""
    potential_decay: Floats
    """Share of the potential lost in one time step, 0..1; 0: no leak."""
    threshold: Floats
    """Potential above which the neuron sends 1, in the unit of the weights."""
    negative_threshold: Floats
    """Potential below which the neuron sends -1; 0 or less."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step."""

    name: ClassVar[str] = "ternary_lif"
    states: ClassVar[tuple[str, ...]] = ("u", "v")

    @property
    def payload(self) -> Interval:
        """A negative, no or a positive spike."""
        return Interval(-1, 1)

    def _check(self) -> None:
        for name in ("current_decay", "potential_decay"):
            convert.check_share(name, getattr(self, name))
        convert.check_positive("threshold", self.threshold)
        convert.check_not_positive("negative_threshold", self.negative_threshold)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v) and the spikes, -1, 0 or 1."""
        u, v = state
        u = (1 - self.current_decay) * u + x
        v = (1 - self.potential_decay) * v + u + self.bias
        spike = (v > self.threshold) * 1 - (v < self.negative_threshold) * 1
        return (u, v * (spike == 0)), spike

    def quantize(self, scale: Any, formats: Formats) -> IntegerTernaryLif:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.round_bias(self.bias * scale, formats)
        negative = self.negative_threshold * scale
        return IntegerTernaryLif(
            convert.round_decay(self.current_decay, formats, offset=1),
            convert.round_decay(self.potential_decay, formats),
            convert.round_threshold(self.threshold * scale, formats),
            convert.round_mantissa("negative_threshold", negative, formats, sign=-1),
            mantissa,
            exponent,
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerTernaryLif(IntegerNeuron):
    """Current-based leaky integrate-and-fire neuron with positive and negative spikes, integer.

    Lava's fixed-point `TernaryLIF`, bit for bit, for a negative threshold of 0 or less. `x` is the
    accumulated weights:

        u = wrap(apply_decay(u, current_decay + 1) + (x << 6))
        v = saturate(apply_decay(v, potential_decay) + u + (bias_mantissa << bias_exponent))
        spike = +1   where v > (threshold << 6)
        spike = -1   where v < (negative_threshold << 6)
        spike = 0    elsewhere
        v = 0        where spike is not 0
    """

    current_decay: Ints
    """Lava's du: (du + 1) / 4096 of the current is lost in one time step."""
    potential_decay: Ints
    """Lava's dv: dv / 4096 of the potential is lost in one time step."""
    threshold: Ints
    """Mantissa, Lava's vth_hi: the neuron sends 1 when v exceeds threshold * 2^6."""
    negative_threshold: Ints
    """Mantissa, Lava's vth_lo: it sends -1 when v is below negative_threshold * 2^6."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]

    name: ClassVar[str] = "ternary_lif"
    states: ClassVar[tuple[str, ...]] = ("u", "v")

    @property
    def payload(self) -> Interval:
        """A negative, no or a positive spike."""
        return Interval(-1, 1)

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)
        convert.check_not_positive("negative_threshold", self.negative_threshold)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v) and the spikes, -1, 0 or 1."""
        u, v = state
        u = wrap(apply_decay(u, self.current_decay + 1) + (x << STATE_SHIFT))
        v = apply_decay(v, self.potential_decay) + u
        v = saturate(v + shift_bias(self.bias_mantissa, self.bias_exponent))
        positive = v > (self.threshold << STATE_SHIFT)
        negative = v < (self.negative_threshold << STATE_SHIFT)
        spike = positive * 1 - negative * 1
        return (u, v * (spike == 0)), spike

    def silent_within(self) -> dict[str, Interval]:
        """Return the interval between the two thresholds."""
        low, high = self.negative_threshold << STATE_SHIFT, self.threshold << STATE_SHIFT
        return {"v": Interval(low, high)}

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of u and v; see `IntegerNeuron.bounds`.

        After a step v lies between the two thresholds, or it is the rest of the initial potential.
        """
        u = bound_current(x, self.current_decay + 1, steps)
        bias = shift_bias(self.bias_mantissa, self.bias_exponent)
        low, high = np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0)
        positive = np.maximum(self.threshold, 0) << STATE_SHIFT
        negative = self.negative_threshold << STATE_SHIFT
        decay = self.potential_decay
        summed = Interval(bound_leaky_sum(low, decay, steps), bound_leaky_sum(high, decay, steps))
        lowest, highest = widen_by_start(self.initial, summed)
        lowest = np.maximum(lowest, np.minimum(negative, self.initial) + low)
        highest = np.minimum(highest, np.maximum(positive, self.initial) + high)
        return {"u": u, "v": Interval(lowest, highest)}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {
            "current_decay": (self.current_decay + 1) / 4096,
            "potential_decay": self.potential_decay / 4096,
            "threshold": self.threshold * 64.0,
            "negative_threshold": self.negative_threshold * 64.0,
            "bias": shift_bias(self.bias_mantissa, self.bias_exponent) * 1.0,
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the decays, and the pairs of thresholds."""
        du, dv = np.broadcast_arrays(self.current_decay, self.potential_decay)
        high, low = np.broadcast_arrays(self.threshold, self.negative_threshold)
        return {"compartment": du * 4096 + dv, "threshold": high * 2**18 - low}


TernaryLif.integer = IntegerTernaryLif
