"""Leaky integrate-and-fire neuron that sends several spikes at once, one per threshold."""

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

UNBOUNDED = -1e300
"""Lowest potential of a neuron without one."""


@dataclass(frozen=True, eq=False)
class MultiSpikeLif(FloatNeuron):
    """Current-based leaky integrate-and-fire neuron that sends up to `most` spikes, float.

    It fires at the threshold, not only above it. One time step, in this order; `x` is the synaptic
    input that arrived in this step:

        u = (1 - current_decay) * u + x
        v = (1 - potential_decay) * v + u + bias
        spikes = whole thresholds in v, at least 0 and at most `most`
        v = v - threshold * spikes                    # reset "soft" only
        v = 0             where spikes > 0            # reset "hard" only
        v = lowest        where v < lowest
    """

    current_decay: Floats
    """Share of the current lost in one time step, 0..1; 1: no memory in the current."""
    potential_decay: Floats
    """Share of the potential lost in one time step, 0..1; 0: no leak."""
    threshold: Floats
    """Potential that one spike is worth, in the unit of the weights."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step."""
    most: Floats = 255.0  # type: ignore[assignment]
    """Most spikes in one time step, a whole number."""
    lowest: Floats = UNBOUNDED  # type: ignore[assignment]
    """Potential below which no time step ends, 0 or less."""
    reset: AtOnce = "soft"

    name: ClassVar[str] = "multi_spike_lif"
    resets: ClassVar[tuple[str, ...]] = get_args(AtOnce)
    states: ClassVar[tuple[str, ...]] = ("u", "v")

    def _check(self) -> None:
        for name in ("current_decay", "potential_decay"):
            convert.check_share(name, getattr(self, name))
        convert.check_positive("threshold", self.threshold)
        convert.check_steps("most", self.most, 1)
        convert.check_not_positive("lowest", self.lowest)

    @property
    def payload(self) -> Interval:
        """From no spike to `most`."""
        return Interval(0, int(self.most.max()))

    def parameters(self) -> tuple[str, ...]:
        """Return the names of the array parameters; `lowest` only where there is one."""
        names = super().parameters()
        return names if _has_lowest(self.lowest) else tuple(n for n in names if n != "lowest")

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v) and the spikes."""
        u, v = state
        u = (1 - self.current_decay) * u + x
        v = (1 - self.potential_decay) * v + u + self.bias
        ratio = (v / self.threshold).clip(0)
        spikes = _round_down(ratio - (ratio - self.most).clip(0))
        v = reset_potential(v, spikes, self.threshold, self.reset)
        if _has_lowest(self.lowest):
            v = (v - self.lowest).clip(0) + self.lowest
        return (u, v), spikes

    def quantize(self, scale: float, formats: Formats) -> IntegerMultiSpikeLif:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.round_bias(self.bias * scale, formats)
        lowest = np.maximum(np.rint(self.lowest * scale), 1.0 - STATE_LIMIT)
        return IntegerMultiSpikeLif(
            convert.round_decay(self.current_decay, formats, offset=1),
            convert.round_decay(self.potential_decay, formats),
            convert.round_threshold(self.threshold * scale, formats),
            mantissa,
            exponent,
            self.most.astype(np.int64),
            lowest.astype(np.int64),
            self.reset,
            initial=convert.round_initial(self.initial * scale),
        )


def _round_down(x: Any) -> Any:
    """Return numbers that are 0 or more rounded down, as integers."""
    return x.astype(np.int64) if isinstance(x, np.ndarray) else x.long()


def _has_lowest(lowest: Any) -> bool:
    return bool((lowest > UNBOUNDED).any())


@dataclass(frozen=True, eq=False)
class IntegerMultiSpikeLif(IntegerNeuron):
    """Current-based leaky integrate-and-fire neuron that sends up to `most` spikes, integer.

    The arithmetic of `IntegerCubaLif`; `x` is the accumulated weights:

        u = wrap(apply_decay(u, current_decay + 1) + (x << 6))
        v = saturate(apply_decay(v, potential_decay) + u + (bias_mantissa << bias_exponent))
        spikes = v / (threshold << 6) rounded down, at least 0 and at most `most`
        v = v - (threshold << 6) * spikes             # reset "soft" only
        v = 0                    where spikes > 0     # reset "hard" only
        v = lowest               where v < lowest
    """

    current_decay: Ints
    """Lava's du: (du + 1) / 4096 of the current is lost in one time step."""
    potential_decay: Ints
    """Lava's dv: dv / 4096 of the potential is lost in one time step."""
    threshold: Ints
    """Mantissa: one spike is worth threshold * 2^6; 1 or more."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]
    most: Ints = 255  # type: ignore[assignment]
    """Most spikes in one time step."""
    lowest: Ints = 1 - STATE_LIMIT  # type: ignore[assignment]
    """Potential below which no time step ends, in the unit of v."""
    reset: AtOnce = "soft"

    name: ClassVar[str] = "multi_spike_lif"
    resets: ClassVar[tuple[str, ...]] = get_args(AtOnce)
    states: ClassVar[tuple[str, ...]] = ("u", "v")

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)
        convert.check_positive("threshold", self.threshold)
        convert.check_steps("most", self.most, 1)
        convert.check_not_positive("lowest", self.lowest)

    @property
    def payload(self) -> Interval:
        """From no spike to `most`."""
        return Interval(0, int(self.most.max()))

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v) and the spikes."""
        u, v = state
        threshold = self.threshold << STATE_SHIFT
        u = wrap(apply_decay(u, self.current_decay + 1) + (x << STATE_SHIFT))
        v = apply_decay(v, self.potential_decay) + u
        v = saturate(v + shift_bias(self.bias_mantissa, self.bias_exponent))
        spikes = v.clip(0) // threshold
        spikes = spikes - (spikes - self.most).clip(0)
        v = reset_potential(v, spikes, threshold, self.reset)
        return (u, (v - self.lowest).clip(0) + self.lowest), spikes

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of u and v; see `IntegerNeuron.bounds`.

        Less than the threshold stays in v after a step, or the initial potential, or with a soft
        reset the rest above `most` thresholds. No step starts below `lowest`.
        """
        u = bound_current(x, self.current_decay + 1, steps)
        bias = shift_bias(self.bias_mantissa, self.bias_exponent)
        low, high = np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0)
        threshold, decay = self.threshold << STATE_SHIFT, self.potential_decay
        summed = Interval(bound_leaky_sum(low, decay, steps), bound_leaky_sum(high, decay, steps))
        lowest, highest = widen_by_start(self.initial, summed)
        kept = np.maximum(threshold, self.initial)
        if self.reset == "soft":
            kept = kept + bound_leaky_sum(np.maximum(high - threshold * self.most, 0), decay, steps)
        below = np.minimum(self.lowest, self.initial) + low
        return {
            "u": u,
            "v": Interval(np.maximum(lowest, below), np.minimum(highest, kept + high)),
        }

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers; `most` has no scale."""
        floats = {
            "current_decay": (self.current_decay + 1) / 4096,
            "potential_decay": self.potential_decay / 4096,
            "threshold": self.threshold * 64.0,
            "bias": shift_bias(self.bias_mantissa, self.bias_exponent) * 1.0,
        }
        bounded = bool((self.lowest > 1 - STATE_LIMIT).any())
        return floats | ({"lowest": self.lowest * 1.0} if bounded else {})

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the decays with the lowest potentials, and the thresholds with the most spikes."""
        du, dv, low = np.broadcast_arrays(self.current_decay, self.potential_decay, -self.lowest)
        threshold, spikes = np.broadcast_arrays(self.threshold, self.most)
        return {
            "compartment": (low * 4096 + du) * 4096 + dv,
            "threshold": threshold * 2**31 + spikes,
        }


MultiSpikeLif.integer = IntegerMultiSpikeLif
