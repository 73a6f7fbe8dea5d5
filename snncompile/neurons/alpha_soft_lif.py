"""Alpha-shaped neuron whose reset takes the threshold off one of its sums: snnTorch's Alpha."""

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
    Width,
    bound_leaky_sum,
)
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT, apply_decay, saturate
from snncompile.neurons.ranges import Range

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class AlphaSoftLif(FloatNeuron):
    """Neuron with an alpha-shaped response and a reset by subtraction, float.

    Its potential is the difference of two sums of the input, of which `fast` forgets faster. One
    time step, in this order; `x` is the synaptic input that arrived in this step and `fired` says
    whether v exceeded the threshold at the end of the last one:

        v = (1 - potential_decay) * slow - (1 - current_decay) * fast
        v = v - (1 - reset_decay) * fast where fired      # fast: of the last step
        slow = (1 - potential_decay) * slow + x
        slow = slow - subtracted where fired
        fast = (1 - current_decay) * fast + x
        fast = 0 where fired                              # the input of this step is lost here
        spike = v > threshold

    An input acts one step late. snntorch 1.0.0 with reset_mechanism "subtract" computes the same
    with the decays alpha and beta, alpha > beta, and a factor tau of 1 or more:

        exc = alpha * exc + x - threshold where fired,  inh = beta * inh - x, 0 where fired
        mem = tau * (alpha * exc + x + beta * inh - x) + inh where fired   # inh of the last step
        potential_decay = 1 - alpha, current_decay = 1 - beta, reset_decay = 1 - 1 / tau
        slow = exc, fast = -inh, v = mem / tau
    """

    current_decay: Floats
    """Share of the fast sum lost in one time step, 0..1."""
    potential_decay: Floats
    """Share of the slow sum lost in one time step, 0..1; 0: no leak."""
    threshold: Floats
    """Potential above which the neuron fires, in the unit of the weights."""
    reset_decay: Floats
    """A spike takes the rest of this share of the fast sum off the potential, 0..1."""
    subtracted: Floats
    """Taken off the slow sum by a spike, in the unit of the weights; 0 or more."""

    name: ClassVar[str] = "alpha_soft_lif"
    states: ClassVar[tuple[str, ...]] = ("slow", "fast", "v")

    def _check(self) -> None:
        for name in ("current_decay", "potential_decay", "reset_decay"):
            convert.check_share(name, getattr(self, name))
        convert.check_positive("threshold", self.threshold)
        convert.check_not_negative("subtracted", self.subtracted)

    @classmethod
    def has_unit(cls, name: str) -> bool:
        """Whether a parameter is in the unit of the weights; see `FloatNeuron.has_unit`."""
        return name == "subtracted" or super().has_unit(name)

    def largest_scale(self, formats: Formats) -> Any:
        """Return the largest scale with which `subtracted` and the others fit the chip."""
        largest = convert.read_limit(formats.threshold_mantissa) * 64
        size = self.subtracted
        cap = np.divide(largest, size, out=np.full(size.shape, np.inf), where=size > 0)
        return np.minimum(super().largest_scale(formats), cap)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (slow, fast, v) and the spikes."""
        slow, fast, v = state
        fired = v > self.threshold
        lost = (1 - self.reset_decay) * fast * fired
        slow = (1 - self.potential_decay) * slow
        kept = (1 - self.current_decay) * fast
        v = slow - kept - lost
        slow = slow + x - self.subtracted * fired
        return (slow, (kept + x) * ~fired, v), v > self.threshold

    def quantize(self, scale: Any, formats: Formats) -> IntegerAlphaSoftLif:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        return IntegerAlphaSoftLif(
            convert.round_decay(self.current_decay, formats, offset=1),
            convert.round_decay(self.potential_decay, formats),
            convert.round_threshold(self.threshold * scale, formats),
            convert.round_decay(self.reset_decay, formats),
            convert.round_mantissa("subtracted", self.subtracted * scale, formats),
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerAlphaSoftLif(IntegerNeuron):
    """Neuron with an alpha-shaped response and a reset by subtraction, integer.

    The decays of Lava's fixed-point `LIF`; `x` is the accumulated weights:

        v = apply_decay(slow, potential_decay) - apply_decay(fast, current_decay + 1)
        v = v - apply_decay(fast, reset_decay) where fired
        slow = saturate(apply_decay(slow, potential_decay) + (x << 6))
               less subtracted << 6 where fired, before it saturates
        fast = saturate(apply_decay(fast, current_decay + 1) + (x << 6))
        fast = 0 where fired
        v = saturate(v)
        spike = v > (threshold << 6)
    """

    current_decay: Ints
    """(current_decay + 1) / 4096 of the fast sum is lost in one time step."""
    potential_decay: Ints
    """potential_decay / 4096 of the slow sum is lost in one time step."""
    threshold: Ints
    """Mantissa: the neuron fires when v exceeds threshold * 2^6."""
    reset_decay: Ints
    """A spike takes (4096 - reset_decay) / 4096 of the fast sum off the potential."""
    subtracted: Ints
    """Mantissa, 0 or more: a spike takes subtracted * 2^6 off the slow sum."""

    name: ClassVar[str] = "alpha_soft_lif"
    states: ClassVar[tuple[str, ...]] = ("slow", "fast", "v")
    fires_above: ClassVar[bool] = True
    widths: ClassVar[dict[str, Width]] = {
        name: Width(effect="saturates") for name in ("slow", "fast", "v")
    }

    def _check(self) -> None:
        convert.check_not_negative("subtracted", self.subtracted)

    @classmethod
    def ranges(cls, formats: Formats) -> dict[str, Range]:
        """Return the ranges of its parameters: of other decays, and of a threshold."""
        shared = super().ranges(formats)
        own = {"reset_decay": shared["potential_decay"], "subtracted": shared["threshold"]}
        return shared | own

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (slow, fast, v) and the spikes."""
        slow, fast, v = state
        threshold = self.threshold << STATE_SHIFT
        fired = v > threshold
        lost = apply_decay(fast, self.reset_decay) * fired
        slow = apply_decay(slow, self.potential_decay)
        kept = apply_decay(fast, self.current_decay + 1)
        v = saturate(slow - kept - lost)
        slow = saturate(slow + (x << STATE_SHIFT) - (self.subtracted << STATE_SHIFT) * fired)
        fast = saturate(kept + (x << STATE_SHIFT)) * ~fired
        return (slow, fast, v), v > threshold

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of slow, fast and v; see `IntegerNeuron.bounds`.

        The step before one with `fired` has v above 0, so slow is then not far below: v was its
        share of slow less two shares of fast at most. From there it sinks by its input alone.
        """
        down, up = (np.asarray(end) * float(1 << STATE_SHIFT) for end in x)
        taken = self.subtracted * float(1 << STATE_SHIFT)
        low, high = (bound_leaky_sum(end, self.current_decay + 1, steps) for end in (down, up))
        share = 1 + (DECAY_ONE - self.reset_decay) / DECAY_ONE
        before = np.minimum(share * low + down - taken, 0)
        decay = self.potential_decay
        lowest = np.maximum(
            bound_leaky_sum(down - taken, decay, steps),
            bound_leaky_sum(down, decay, steps) + before + down - taken,
        )
        highest = bound_leaky_sum(up, decay, steps)
        return {
            "slow": Interval(lowest, highest),
            "fast": Interval(low, high),
            "v": Interval(
                np.minimum(lowest - share * high, self.initial),
                np.maximum(highest - share * low, self.initial),
            ),
        }

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {
            "current_decay": (self.current_decay + 1) / 4096,
            "potential_decay": self.potential_decay / 4096,
            "threshold": np.asarray(self.threshold * 64.0, np.float64),
            "reset_decay": self.reset_decay / 4096,
            "subtracted": np.asarray(self.subtracted * 64.0, np.float64),
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the decays, and the thresholds with what a spike takes."""
        du, dv, dr = np.broadcast_arrays(self.current_decay, self.potential_decay, self.reset_decay)
        threshold, taken = np.broadcast_arrays(self.threshold, self.subtracted)
        return {
            "compartment": (du * 4096 + dv) * 4096 + dr,
            "threshold": threshold * 2**18 + taken,
        }


AlphaSoftLif.integer = IntegerAlphaSoftLif
