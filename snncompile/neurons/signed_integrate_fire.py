"""Integrate-and-fire neuron that takes spikes back: it sends -1, 0 or 1."""

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
    Role,
    State,
    bound_current,
    bound_leaky_sum,
    widen_by_start,
)
from snncompile.neurons.fixed import STATE_SHIFT, saturate, shift_bias, wrap

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class SignedIntegrateFire(FloatNeuron):
    """Integrate-and-fire neuron with soft reset and negative spikes, float.

    `sent` is the sum of its output: a spike can be taken back only if there was one, so the
    sum is never negative, like the activation of a ReLU. One time step, in this order; `x` is the
    synaptic input that arrived in this step:

        v = v + x + bias
        spike = +1   where v > threshold
        spike = -1   where v < negative_threshold and sent > 0
        spike = 0    elsewhere
        v = v - threshold * spike
        sent = sent + spike
    """

    threshold: Floats
    """Potential above which the neuron sends 1, and worth of one spike."""
    negative_threshold: Floats = 0.0  # type: ignore[assignment]
    """Potential below which the neuron sends -1; 0 or less."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step."""

    name: ClassVar[str] = "signed_integrate_fire"
    states: ClassVar[tuple[str, ...]] = ("v", "sent")
    bias_adds_up: ClassVar[bool] = True

    @property
    def role(self) -> Role | None:
        """A layer."""
        return "layer"

    @property
    def payload(self) -> Interval:
        """A negative, no or a positive spike."""
        return Interval(-1, 1)

    def _check(self) -> None:
        convert.check_positive("threshold", self.threshold)
        convert.check_not_positive("negative_threshold", self.negative_threshold)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, sent) and the spikes, -1, 0 or 1."""
        v, sent = state
        v = v + x + self.bias
        taken_back = (v < self.negative_threshold) & (sent > 0)
        spike = (v > self.threshold) * 1 - taken_back * 1
        return (v - self.threshold * spike, sent + spike), spike

    def quantize(self, scale: Any, formats: Formats) -> IntegerSignedIntegrateFire:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.round_bias(self.bias * scale, formats)
        negative = self.negative_threshold * scale
        return IntegerSignedIntegrateFire(
            convert.round_threshold(self.threshold * scale, formats),
            convert.round_mantissa("negative_threshold", negative, formats, sign=-1),
            mantissa,
            exponent,
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerSignedIntegrateFire(IntegerNeuron):
    """Integrate-and-fire neuron with soft reset and negative spikes, integer.

    The arithmetic of `IntegerIntegrateFire`; `x` is the accumulated weights:

        v = saturate(v + wrap(x << 6) + (bias_mantissa << bias_exponent))
        spike = +1   where v > (threshold << 6)
        spike = -1   where v < (negative_threshold << 6) and sent > 0
        spike = 0    elsewhere
        v = v - (threshold << 6) * spike
        sent = sent + spike
    """

    threshold: Ints
    """Mantissa: the neuron sends 1 when v exceeds threshold * 2^6."""
    negative_threshold: Ints = 0  # type: ignore[assignment]
    """Mantissa, 0 or less: it sends -1 when v is below negative_threshold * 2^6."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]

    name: ClassVar[str] = "signed_integrate_fire"
    states: ClassVar[tuple[str, ...]] = ("v", "sent")
    fires_above: ClassVar[bool] = True

    @property
    def role(self) -> Role | None:
        """A layer."""
        return "layer"

    @property
    def payload(self) -> Interval:
        """A negative, no or a positive spike."""
        return Interval(-1, 1)

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)
        convert.check_not_positive("negative_threshold", self.negative_threshold)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v, sent) and the spikes, -1, 0 or 1."""
        v, sent = state
        threshold = self.threshold << STATE_SHIFT
        v = v + wrap(x << STATE_SHIFT)
        v = saturate(v + shift_bias(self.bias_mantissa, self.bias_exponent))
        taken_back = (v < (self.negative_threshold << STATE_SHIFT)) & (sent > 0)
        spike = (v > threshold) * 1 - taken_back * 1
        return (v - threshold * spike, sent + spike), spike

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of v, of sent and of the input as u; see `IntegerNeuron.bounds`.

        A positive spike leaves v above 0 and a negative one leaves it below the threshold, so v is
        never lower than all inputs together nor higher than with a soft reset alone.
        """
        none = np.asarray(0)
        u = bound_current(x, np.asarray(4096), steps)
        bias = shift_bias(self.bias_mantissa, self.bias_exponent)
        low, high = np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0)
        threshold = np.maximum(self.threshold, 0) << STATE_SHIFT
        lowest, upper = widen_by_start(
            self.initial,
            Interval(bound_leaky_sum(low, none, steps), bound_leaky_sum(high, none, steps)),
        )
        kept = np.maximum(threshold, self.initial)
        highest = kept + high + bound_leaky_sum(np.maximum(high - threshold, 0), none, steps)
        sent = np.asarray(np.inf if steps is None else steps)
        return {
            "u": u,
            "v": Interval(lowest, np.minimum(highest, upper)),
            "sent": Interval(np.asarray(0), sent),
        }

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {
            "threshold": self.threshold * 64.0,
            "negative_threshold": self.negative_threshold * 64.0,
            "bias": shift_bias(self.bias_mantissa, self.bias_exponent) * 1.0,
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the pairs of thresholds; there are no decays."""
        high, low = np.broadcast_arrays(self.threshold, self.negative_threshold)
        return {"compartment": np.asarray(0), "threshold": high * 2**18 - low}


SignedIntegrateFire.integer = IntegerSignedIntegrateFire
