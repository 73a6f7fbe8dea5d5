"""Neuron whose potential follows an alpha function of its input: snnTorch's Alpha."""

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
from snncompile.neurons.fixed import STATE_SHIFT, apply_decay, saturate, wrap

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class AlphaLif(FloatNeuron):
    """Neuron with an alpha-shaped response, float.

    One time step, in this order; `x` is the synaptic input that arrived in this step and `fired`
    says whether v exceeded the threshold at the end of the last one:

        v = (1 - potential_decay) * v + u
        u = (1 - current_decay) * u + x
        u = v = 0 where fired            # the input of this step is lost as well
        spike = v > threshold

    The potential gets the current of the step before, so an input acts one step late, grows and
    dies out again. snntorch 1.0.0 computes the same as the difference of two sums with the decays
    alpha and beta, alpha > beta, times a factor:

        e = alpha * e + x,  i = beta * i - x,  mem = tau * (e + i)
        potential_decay = 1 - alpha, current_decay = 1 - beta, mem = tau * (alpha - beta) * v
    """

    current_decay: Floats
    """Share of the current lost in one time step, 0..1."""
    potential_decay: Floats
    """Share of the potential lost in one time step, 0..1; 0: no leak."""
    threshold: Floats
    """Potential above which the neuron fires, in the unit of the weights."""

    name: ClassVar[str] = "alpha_lif"
    states: ClassVar[tuple[str, ...]] = ("u", "v")

    def _check(self) -> None:
        for name in ("current_decay", "potential_decay"):
            convert.check_share(name, getattr(self, name))
        convert.check_positive("threshold", self.threshold)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v) and the spikes."""
        u, v = state
        kept = v <= self.threshold
        v = ((1 - self.potential_decay) * v + u) * kept
        u = ((1 - self.current_decay) * u + x) * kept
        return (u, v), v > self.threshold

    def quantize(self, scale: Any, formats: Formats) -> IntegerAlphaLif:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        return IntegerAlphaLif(
            convert.round_decay(self.current_decay, formats, offset=1),
            convert.round_decay(self.potential_decay, formats),
            convert.round_threshold(self.threshold * scale, formats),
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerAlphaLif(IntegerNeuron):
    """Neuron with an alpha-shaped response, integer.

    The arithmetic of Lava's fixed-point `LIF`, in another order; `x` is the accumulated weights:

        v = saturate(apply_decay(v, potential_decay) + u)
        u = wrap(apply_decay(u, current_decay + 1) + (x << 6))
        u = v = 0 where fired
        spike = v > (threshold << 6)
    """

    current_decay: Ints
    """(current_decay + 1) / 4096 of the current is lost in one time step."""
    potential_decay: Ints
    """potential_decay / 4096 of the potential is lost in one time step."""
    threshold: Ints
    """Mantissa: the neuron fires when v exceeds threshold * 2^6."""

    name: ClassVar[str] = "alpha_lif"
    states: ClassVar[tuple[str, ...]] = ("u", "v")
    fires_above: ClassVar[bool] = True

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v) and the spikes."""
        u, v = state
        threshold = self.threshold << STATE_SHIFT
        kept = v <= threshold
        v = saturate(apply_decay(v, self.potential_decay) + u) * kept
        u = wrap(apply_decay(u, self.current_decay + 1) + (x << STATE_SHIFT)) * kept
        return (u, v), v > threshold

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of u and v; see `IntegerNeuron.bounds`.

        A spike clears both, so before a step that counts v is at most the threshold or the start.
        """
        u = bound_current(x, self.current_decay + 1, steps)
        low, high = np.minimum(u.low, 0), np.maximum(u.high, 0)
        decay = self.potential_decay
        summed = Interval(bound_leaky_sum(low, decay, steps), bound_leaky_sum(high, decay, steps))
        lowest, highest = widen_by_start(self.initial, summed)
        kept = np.maximum(self.threshold << STATE_SHIFT, self.initial)
        return {"u": u, "v": Interval(lowest, np.minimum(highest, kept + high))}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {
            "current_decay": (self.current_decay + 1) / 4096,
            "potential_decay": self.potential_decay / 4096,
            "threshold": np.asarray(self.threshold * 64.0, np.float64),
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the decays and the thresholds."""
        both = np.broadcast_arrays(self.current_decay, self.potential_decay)
        return {"compartment": both[0] * 4096 + both[1], "threshold": self.threshold}


AlphaLif.integer = IntegerAlphaLif
