"""Current-based leaky integrate-and-fire neuron whose threshold grows with every spike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import (
    FloatNeuron,
    IntegerNeuron,
    Interval,
    State,
    Width,
    bound_current,
    bound_leaky_sum,
    widen_by_start,
)
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.fixed import (
    STATE_LIMIT,
    STATE_SHIFT,
    apply_decay,
    saturate,
    shift_bias,
    wrap,
)
from snncompile.neurons.resets import AtOnce, reset_potential

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class AdaptiveLif(FloatNeuron):
    """Current-based leaky integrate-and-fire neuron with an adaptive threshold, float.

    `raised` is the distance of the threshold above its resting value. One time step, in this order;
    `x` is the synaptic input that arrived in this step:

        raised = (1 - threshold_decay) * raised
        u = (1 - current_decay) * u + x
        v = (1 - potential_decay) * v + u + bias
        spike = v > threshold + raised
        v = 0                        where spike      # reset "hard" only
        v = v - (threshold + raised) where spike      # reset "soft" only
        raised = raised + threshold_step where spike
    """

    current_decay: Floats
    """Share of the current lost in one time step, 0..1; 1: no memory in the current."""
    potential_decay: Floats
    """Share of the potential lost in one time step, 0..1; 0: no leak."""
    threshold: Floats
    """Potential above which a rested neuron fires, in the unit of the weights."""
    threshold_decay: Floats
    """Share of the rise lost in one time step, 0..1."""
    threshold_step: Floats
    """Added to the threshold by a spike, in the unit of the weights; 0 or more."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step."""
    reset: AtOnce = "hard"

    name: ClassVar[str] = "adaptive_lif"
    resets: ClassVar[tuple[str, ...]] = get_args(AtOnce)
    states: ClassVar[tuple[str, ...]] = ("u", "v", "raised")

    def _check(self) -> None:
        for name in ("current_decay", "potential_decay", "threshold_decay"):
            convert.check_share(name, getattr(self, name))
        convert.check_positive("threshold", self.threshold)
        convert.check_not_negative("threshold_step", self.threshold_step)

    def equals(self) -> tuple[FloatNeuron, ...]:
        """Return `CubaLif`, where no spike raises the threshold."""
        if self.threshold_step.any():
            return ()
        decays = self.current_decay, self.potential_decay
        return (CubaLif(*decays, self.threshold, self.bias, self.reset, initial=self.initial),)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v, raised) and the spikes."""
        u, v, raised = state
        raised = (1 - self.threshold_decay) * raised
        u = (1 - self.current_decay) * u + x
        v = (1 - self.potential_decay) * v + u + self.bias
        limit = self.threshold + raised
        spike = v > limit
        raised = raised + self.threshold_step * spike
        return (u, reset_potential(v, spike, limit, self.reset), raised), spike

    def quantize(self, scale: Any, formats: Formats) -> IntegerAdaptiveLif:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.round_bias(self.bias * scale, formats)
        return IntegerAdaptiveLif(
            convert.round_decay(self.current_decay, formats, offset=1),
            convert.round_decay(self.potential_decay, formats),
            convert.round_threshold(self.threshold * scale, formats),
            convert.round_decay(self.threshold_decay, formats),
            convert.round_mantissa("threshold_step", self.threshold_step * scale, formats),
            mantissa,
            exponent,
            self.reset,
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerAdaptiveLif(IntegerNeuron):
    """Current-based leaky integrate-and-fire neuron with an adaptive threshold, integer.

    The arithmetic of Lava's fixed-point `LIF`; the rise decays and saturates like a potential.
    (Lava's `ATRLIF` is another neuron: it never resets v, and its decays are whole or nothing.)
    `x` is the accumulated weights:

        raised = apply_decay(raised, threshold_decay)
        u = wrap(apply_decay(u, current_decay + 1) + (x << 6))
        v = saturate(apply_decay(v, potential_decay) + u + (bias_mantissa << bias_exponent))
        spike = v > (threshold << 6) + raised
        v = 0                               where spike   # reset "hard" only
        v = v - ((threshold << 6) + raised) where spike   # reset "soft" only
        raised = saturate(raised + (threshold_step << 6)) where spike
    """

    current_decay: Ints
    """Lava's du: (du + 1) / 4096 of the current is lost in one time step."""
    potential_decay: Ints
    """Lava's dv: dv / 4096 of the potential is lost in one time step."""
    threshold: Ints
    """Mantissa: a rested neuron fires when v exceeds threshold * 2^6."""
    threshold_decay: Ints
    """threshold_decay / 4096 of the rise is lost in one time step."""
    threshold_step: Ints
    """Mantissa, 0 or more: a spike adds threshold_step * 2^6 to the threshold."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]
    reset: AtOnce = "hard"

    name: ClassVar[str] = "adaptive_lif"
    resets: ClassVar[tuple[str, ...]] = get_args(AtOnce)
    states: ClassVar[tuple[str, ...]] = ("u", "v", "raised")
    fires_above: ClassVar[bool] = True
    widths: ClassVar[dict[str, Width]] = IntegerNeuron.widths | {
        "raised": Width(effect="saturates")
    }

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)
        convert.check_not_negative("threshold_step", self.threshold_step)

    def equals(self) -> tuple[IntegerNeuron, ...]:
        """Return `IntegerCubaLif`, where no spike raises the threshold."""
        if self.threshold_step.any():
            return ()
        decays, bias = (
            (self.current_decay, self.potential_decay),
            (self.bias_mantissa, self.bias_exponent),
        )
        return (IntegerCubaLif(*decays, self.threshold, *bias, self.reset, initial=self.initial),)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v, raised) and the spikes."""
        u, v, raised = state
        raised = apply_decay(raised, self.threshold_decay)
        u = wrap(apply_decay(u, self.current_decay + 1) + (x << STATE_SHIFT))
        v = apply_decay(v, self.potential_decay) + u
        v = saturate(v + shift_bias(self.bias_mantissa, self.bias_exponent))
        limit = (self.threshold << STATE_SHIFT) + raised
        spike = v > limit
        raised = saturate(raised + (self.threshold_step << STATE_SHIFT) * spike)
        return (u, reset_potential(v, spike, limit, self.reset), raised), spike

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of u, v and raised; see `IntegerNeuron.bounds`.

        After a step v is at most the highest threshold or the initial potential; a soft reset adds
        the sum of the drive's excess over the lowest threshold.
        """
        u = bound_current(x, self.current_decay + 1, steps)
        bias = shift_bias(self.bias_mantissa, self.bias_exponent)
        low, high = np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0)
        raised = bound_leaky_sum(self.threshold_step << STATE_SHIFT, self.threshold_decay, steps)
        threshold = np.maximum(self.threshold, 0) << STATE_SHIFT
        highest = np.maximum(threshold + np.minimum(raised, STATE_LIMIT - 1), self.initial) + high
        if self.reset == "soft":
            excess = np.maximum(high - threshold, 0)
            highest = highest + bound_leaky_sum(excess, self.potential_decay, steps)
        decay = self.potential_decay
        summed = Interval(bound_leaky_sum(low, decay, steps), bound_leaky_sum(high, decay, steps))
        lowest, upper = widen_by_start(self.initial, summed)
        return {
            "u": u,
            "v": Interval(lowest, np.minimum(highest, upper)),
            "raised": Interval(np.asarray(0), raised),
        }

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {
            "current_decay": (self.current_decay + 1) / 4096,
            "potential_decay": self.potential_decay / 4096,
            "threshold": self.threshold * 64.0,
            "threshold_decay": self.threshold_decay / 4096,
            "threshold_step": self.threshold_step * 64.0,
            "bias": shift_bias(self.bias_mantissa, self.bias_exponent) * 1.0,
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the decays, and the thresholds with their steps."""
        du, dv, dt = np.broadcast_arrays(
            self.current_decay, self.potential_decay, self.threshold_decay
        )
        threshold, step = np.broadcast_arrays(self.threshold, self.threshold_step)
        return {
            "compartment": (du * 4096 + dv) * 4096 + dt,
            "threshold": threshold * 2**18 + step,
        }


AdaptiveLif.integer = IntegerAdaptiveLif
