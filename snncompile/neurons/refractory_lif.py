"""Current-based leaky integrate-and-fire neuron that rests after a spike."""

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
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.fixed import STATE_SHIFT, apply_decay, saturate, shift_bias, wrap

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class RefractoryLif(FloatNeuron):
    """Current-based leaky integrate-and-fire neuron with a refractory period, float.

    One time step, in this order; `x` is the synaptic input that arrived in this step. While it
    waits, the neuron is silent and v stays at 0; the current goes on integrating:

        u = (1 - current_decay) * u + x
        v = (1 - potential_decay) * v + u + bias
        v = 0                   where wait > 0
        spike = v > threshold and wait == 0
        v = 0                   where spike
        wait = max(wait - 1, 0)
        wait = refractory       where spike

    After a spike in step t the next one can come in step t + refractory + 1.
    """

    current_decay: Floats
    """Share of the current lost in one time step, 0..1; 1: no memory in the current."""
    potential_decay: Floats
    """Share of the potential lost in one time step, 0..1; 0: no leak."""
    threshold: Floats
    """Potential above which the neuron fires, in the unit of the weights."""
    refractory: Floats
    """Silent time steps after a spike, a whole number; 0: none."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step."""

    name: ClassVar[str] = "refractory_lif"
    states: ClassVar[tuple[str, ...]] = ("u", "v", "wait")

    def _check(self) -> None:
        for name in ("current_decay", "potential_decay"):
            convert.check_share(name, getattr(self, name))
        convert.check_positive("threshold", self.threshold)
        convert.check_steps("refractory", self.refractory)

    def equals(self) -> tuple[FloatNeuron, ...]:
        """Return `CubaLif`, where no spike starts a period of rest."""
        if self.refractory.any():
            return ()
        decays = self.current_decay, self.potential_decay
        return (CubaLif(*decays, self.threshold, self.bias, "hard", initial=self.initial),)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v, wait) and the spikes."""
        u, v, wait = state
        ready = wait == 0
        u = (1 - self.current_decay) * u + x
        v = ((1 - self.potential_decay) * v + u + self.bias) * ready
        spike = (v > self.threshold) & ready
        wait = (wait - 1).clip(0) + self.refractory * spike
        return (u, v * ~spike, wait), spike

    def quantize(self, scale: Any, formats: Formats) -> IntegerRefractoryLif:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.round_bias(self.bias * scale, formats)
        return IntegerRefractoryLif(
            convert.round_decay(self.current_decay, formats, offset=1),
            convert.round_decay(self.potential_decay, formats),
            convert.round_threshold(self.threshold * scale, formats),
            convert.round_refractory(self.refractory, formats),
            mantissa,
            exponent,
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerRefractoryLif(IntegerNeuron):
    """Current-based leaky integrate-and-fire neuron with a refractory period, integer.

    The arithmetic of Lava's fixed-point `LIF`, and the rule of its `LIFRefractory`, which exists
    in floats only. `x` is the accumulated weights:

        u = wrap(apply_decay(u, current_decay + 1) + (x << 6))
        v = saturate(apply_decay(v, potential_decay) + u + (bias_mantissa << bias_exponent))
        v = 0                   where wait > 0
        spike = v > (threshold << 6) and wait == 0
        v = 0                   where spike
        wait = max(wait - 1, 0)
        wait = refractory       where spike
    """

    current_decay: Ints
    """Lava's du: (du + 1) / 4096 of the current is lost in one time step."""
    potential_decay: Ints
    """Lava's dv: dv / 4096 of the potential is lost in one time step."""
    threshold: Ints
    """Mantissa: the neuron fires when v exceeds threshold * 2^6."""
    refractory: Ints
    """Silent time steps after a spike."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]

    name: ClassVar[str] = "refractory_lif"
    states: ClassVar[tuple[str, ...]] = ("u", "v", "wait")
    fires_above: ClassVar[bool] = True

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)
        convert.check_steps("refractory", self.refractory)

    def equals(self) -> tuple[IntegerNeuron, ...]:
        """Return `IntegerCubaLif`, where no spike starts a period of rest."""
        if self.refractory.any():
            return ()
        decays, bias = (
            (self.current_decay, self.potential_decay),
            (self.bias_mantissa, self.bias_exponent),
        )
        return (IntegerCubaLif(*decays, self.threshold, *bias, "hard", initial=self.initial),)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v, wait) and the spikes."""
        u, v, wait = state
        ready = wait == 0
        u = wrap(apply_decay(u, self.current_decay + 1) + (x << STATE_SHIFT))
        v = apply_decay(v, self.potential_decay) + u
        v = saturate(v + shift_bias(self.bias_mantissa, self.bias_exponent)) * ready
        spike = (v > (self.threshold << STATE_SHIFT)) & ready
        wait = (wait - 1).clip(0) + self.refractory * spike
        return (u, v * ~spike, wait), spike

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of u and v; see `IntegerNeuron.bounds`.

        At most the threshold stays in v after a step, or the initial potential; the lower bound of
        any drive is 0 or less.
        """
        u = bound_current(x, self.current_decay + 1, steps)
        bias = shift_bias(self.bias_mantissa, self.bias_exponent)
        low, high = np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0)
        threshold = np.maximum(self.threshold, 0) << STATE_SHIFT
        decay = self.potential_decay
        summed = Interval(bound_leaky_sum(low, decay, steps), bound_leaky_sum(high, decay, steps))
        lowest, highest = widen_by_start(self.initial, summed)
        highest = np.minimum(highest, np.maximum(threshold, self.initial) + high)
        return {"u": u, "v": Interval(lowest, highest)}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers; the period has no scale."""
        return {
            "current_decay": (self.current_decay + 1) / 4096,
            "potential_decay": self.potential_decay / 4096,
            "threshold": self.threshold * 64.0,
            "bias": shift_bias(self.bias_mantissa, self.bias_exponent) * 1.0,
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the decays with the period, and the thresholds."""
        du, dv, wait = np.broadcast_arrays(
            self.current_decay, self.potential_decay, self.refractory
        )
        return {"compartment": (wait * 4096 + du) * 4096 + dv, "threshold": self.threshold}


RefractoryLif.integer = IntegerRefractoryLif
