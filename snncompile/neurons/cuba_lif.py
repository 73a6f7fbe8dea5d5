"""Current-based leaky integrate-and-fire neuron: Lava's, and the resets Lava lacks."""

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
    bound_current,
    bound_leaky_sum,
    widen_by_start,
)
from snncompile.neurons.fixed import STATE_SHIFT, apply_decay, saturate, shift_bias, wrap
from snncompile.neurons.integrate_fire import IntegerIntegrateFire, IntegrateFire
from snncompile.neurons.resets import Reset, reset_potential

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class CubaLif(FloatNeuron):
    """Current-based leaky integrate-and-fire neuron, float.

    One time step, in this order; `x` is the synaptic input that arrived in this step and `fired`
    says whether v exceeded the threshold at the end of the last one:

        u = (1 - current_decay) * u + x
        v = (1 - potential_decay) * v + u + bias
        v = v - threshold where fired                 # resets "delayed_soft" and "strict_soft"
        v = 0             where fired                 # reset "delayed_hard" only
        spike = v > threshold
        v = 0             where spike                 # reset "hard" only
        v = v - threshold where spike                 # reset "soft" only
        v = v - threshold where spike and not fired   # reset "strict_soft" only
        v = v + threshold where fired and not spike   # reset "strict_soft" only
    """

    current_decay: Floats
    """Share of the current lost in one time step, 0..1; 1: no memory in the current."""
    potential_decay: Floats
    """Share of the potential lost in one time step, 0..1; 0: no leak."""
    threshold: Floats
    """Potential above which the neuron fires, in the unit of the weights."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step."""
    reset: Reset = "hard"

    name: ClassVar[str] = "cuba_lif"
    resets: ClassVar[tuple[str, ...]] = get_args(Reset)
    states: ClassVar[tuple[str, ...]] = ("u", "v")

    def _check(self) -> None:
        for name in ("current_decay", "potential_decay"):
            convert.check_share(name, getattr(self, name))
        convert.check_positive("threshold", self.threshold)

    def equals(self) -> tuple[FloatNeuron, ...]:
        """Return `IntegrateFire`, where no current and no leak outlast a time step."""
        plain = (self.current_decay == 1).all() and (self.potential_decay == 0).all()
        if not plain or (self.reset != "hard" and self.reset != "soft"):
            return ()
        return (IntegrateFire(self.threshold, self.bias, self.reset, initial=self.initial),)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v) and the spikes."""
        u, v = state
        fired = v > self.threshold
        u = (1 - self.current_decay) * u + x
        v = (1 - self.potential_decay) * v + u + self.bias
        if self.reset in ("delayed_soft", "strict_soft"):
            v = v - self.threshold * fired
        elif self.reset == "delayed_hard":
            v = v * ~fired
        spike = v > self.threshold
        if self.reset == "strict_soft":  # in the library's order: float sums depend on it
            return (u, v - (self.threshold * spike - self.threshold * fired)), spike
        return (u, reset_potential(v, spike, self.threshold, self.reset)), spike

    def quantize(self, scale: Any, formats: Formats) -> IntegerCubaLif:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.round_bias(self.bias * scale, formats)
        return IntegerCubaLif(
            convert.round_decay(self.current_decay, formats, offset=1),
            convert.round_decay(self.potential_decay, formats),
            convert.round_threshold(self.threshold * scale, formats),
            mantissa,
            exponent,
            self.reset,
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerCubaLif(IntegerNeuron):
    """Current-based leaky integrate-and-fire neuron, integer.

    With reset "hard" this is Lava's `LIF`, fixed point, bit for bit: the current wraps, the
    potential saturates, decays round toward zero and a current decay of 0 still loses 1/4096.
    The other resets are defined here, in the same arithmetic. `x` is the accumulated weights:

        u = wrap(apply_decay(u, current_decay + 1) + (x << 6))
        v = apply_decay(v, potential_decay) + u + (bias_mantissa << bias_exponent)
        v = v - (threshold << 6) where fired          # reset "delayed_soft" only
        v = 0                    where fired          # reset "delayed_hard" only
        v = saturate(v)
        spike = v > (threshold << 6)
        spike = v > 2 * (threshold << 6) where fired  # reset "strict_soft" only
        v = 0                    where spike          # reset "hard" only
        v = v - (threshold << 6) where spike          # resets "soft" and "strict_soft"
    """

    current_decay: Ints
    """Lava's du: (du + 1) / 4096 of the current is lost in one time step."""
    potential_decay: Ints
    """Lava's dv: dv / 4096 of the potential is lost in one time step."""
    threshold: Ints
    """Mantissa: the neuron fires when v exceeds threshold * 2^6."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]
    reset: Reset = "hard"

    name: ClassVar[str] = "cuba_lif"
    resets: ClassVar[tuple[str, ...]] = get_args(Reset)
    states: ClassVar[tuple[str, ...]] = ("u", "v")
    fires_above: ClassVar[bool] = True

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)

    def equals(self) -> tuple[IntegerNeuron, ...]:
        """Return `IntegerIntegrateFire`, where no current and no leak outlast a time step."""
        plain = (self.current_decay == 4095).all() and (self.potential_decay == 0).all()
        if not plain or (self.reset != "hard" and self.reset != "soft"):
            return ()
        bias = self.bias_mantissa, self.bias_exponent
        return (IntegerIntegrateFire(self.threshold, *bias, self.reset, initial=self.initial),)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v) and the spikes."""
        u, v = state
        threshold = self.threshold << STATE_SHIFT
        fired = v > threshold
        u = wrap(apply_decay(u, self.current_decay + 1) + (x << STATE_SHIFT))
        v = apply_decay(v, self.potential_decay) + u
        v = v + shift_bias(self.bias_mantissa, self.bias_exponent)
        if self.reset == "delayed_soft":
            v = v - threshold * fired
        elif self.reset == "delayed_hard":
            v = v * ~fired
        v = saturate(v)
        strict = self.reset == "strict_soft"
        spike = v > (threshold + threshold * fired if strict else threshold)
        return (u, reset_potential(v, spike, threshold, self.reset)), spike

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of u and v; see `IntegerNeuron.bounds`.

        A hard reset leaves at most the threshold in v, or the initial potential. A soft one takes
        one threshold per time step away, so only a drive above the threshold can pile up; a strict
        one does so above twice the threshold. A delayed soft one can push v below zero by at most
        one threshold, since it only follows a positive v.
        """
        u = bound_current(x, self.current_decay + 1, steps)
        bias = shift_bias(self.bias_mantissa, self.bias_exponent)
        low, high = (np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0))
        threshold = self.threshold << STATE_SHIFT
        decay = self.potential_decay
        summed = Interval(bound_leaky_sum(low, decay, steps), bound_leaky_sum(high, decay, steps))
        lowest, highest = widen_by_start(self.initial, summed)
        kept = np.maximum(threshold, self.initial)
        if self.reset in ("hard", "delayed_hard"):
            highest = np.minimum(highest, kept + high)
        elif self.reset != "none":
            if self.reset == "strict_soft":
                kept = np.maximum(kept, 2 * threshold)
            excess = np.maximum(high - threshold, 0)
            highest = np.minimum(highest, kept + high + bound_leaky_sum(excess, decay, steps))
        if self.reset == "delayed_soft":
            lowest = lowest - threshold
        return {"u": u, "v": Interval(lowest, highest)}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {
            "current_decay": (self.current_decay + 1) / 4096,
            "potential_decay": self.potential_decay / 4096,
            "threshold": self.threshold * 64.0,
            "bias": shift_bias(self.bias_mantissa, self.bias_exponent) * 1.0,
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the decays and the thresholds."""
        both = np.broadcast_arrays(self.current_decay, self.potential_decay)
        return {"compartment": both[0] * 4096 + both[1], "threshold": self.threshold}


CubaLif.integer = IntegerCubaLif
