"""Integrate-and-fire neuron: no leak, no current."""

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
    Role,
    State,
    bound_current,
    bound_leaky_sum,
    widen_by_start,
)
from snncompile.neurons.fixed import STATE_SHIFT, saturate, shift_bias, wrap
from snncompile.neurons.resets import AtOnce, reset_potential
from snncompile.registry import load

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class IntegrateFire(FloatNeuron):
    """Integrate-and-fire neuron, float.

    One time step, in this order; `x` is the synaptic input that arrived in this step:

        v = v + x + bias
        spike = v > threshold
        v = 0             where spike                 # reset "hard" only
        v = v - threshold where spike                 # reset "soft" only
    """

    threshold: Floats
    """Potential above which the neuron fires, in the unit of the weights."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step."""
    reset: AtOnce = "soft"

    name: ClassVar[str] = "integrate_fire"
    resets: ClassVar[tuple[str, ...]] = get_args(AtOnce)
    states: ClassVar[tuple[str, ...]] = ("v",)
    bias_adds_up: ClassVar[bool] = True

    @property
    def role(self) -> Role | None:
        """A layer, if a spike leaves the excess over the threshold."""
        return "layer" if self.reset == "soft" else None

    def _check(self) -> None:
        convert.check_positive("threshold", self.threshold)

    def equals(self) -> tuple[FloatNeuron, ...]:
        """Return `CubaLif` without memory in its current and without leak."""
        make = load("neurons", "cuba_lif")  # whose file imports this one
        return (make(1.0, 0.0, self.threshold, self.bias, self.reset, initial=self.initial),)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v,) and the spikes."""
        v = state[0] + x + self.bias
        spike = v > self.threshold
        return (reset_potential(v, spike, self.threshold, self.reset),), spike

    def quantize(self, scale: Any, formats: Formats) -> IntegerIntegrateFire:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.round_bias(self.bias * scale, formats)
        threshold = convert.round_threshold(self.threshold * scale, formats)
        initial = convert.round_initial(self.initial * scale)
        return IntegerIntegrateFire(threshold, mantissa, exponent, self.reset, initial=initial)


@dataclass(frozen=True, eq=False)
class IntegerIntegrateFire(IntegerNeuron):
    """Integrate-and-fire neuron, integer.

    The arithmetic of Lava's fixed-point `LIF` with du = 4095 and dv = 0, where the current has no
    memory; with reset "hard" it is that process. `x` is the accumulated weights:

        v = saturate(v + wrap(x << 6) + (bias_mantissa << bias_exponent))
        spike = v > (threshold << 6)
        v = 0                    where spike          # reset "hard" only
        v = v - (threshold << 6) where spike          # reset "soft" only
    """

    threshold: Ints
    """Mantissa: the neuron fires when v exceeds threshold * 2^6."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]
    reset: AtOnce = "soft"

    name: ClassVar[str] = "integrate_fire"
    resets: ClassVar[tuple[str, ...]] = get_args(AtOnce)
    states: ClassVar[tuple[str, ...]] = ("v",)
    fires_above: ClassVar[bool] = True

    @property
    def role(self) -> Role | None:
        """A layer, if a spike leaves the excess over the threshold."""
        return "layer" if self.reset == "soft" else None

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)

    def equals(self) -> tuple[IntegerNeuron, ...]:
        """Return `IntegerCubaLif` without memory in its current and without leak."""
        make = load("neurons", "cuba_lif").integer  # whose file imports this one
        parameters = self.threshold, self.bias_mantissa, self.bias_exponent, self.reset
        return (make(4095, 0, *parameters, initial=self.initial),)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v,) and the spikes."""
        threshold = self.threshold << STATE_SHIFT
        bias = shift_bias(self.bias_mantissa, self.bias_exponent)
        v = saturate(state[0] + wrap(x << STATE_SHIFT) + bias)
        spike = v > threshold
        return (reset_potential(v, spike, threshold, self.reset),), spike

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the interval of v and of the input as u; see `IntegerNeuron.bounds`."""
        none = np.asarray(0)
        u = bound_current(x, np.asarray(4096), steps)
        bias = shift_bias(self.bias_mantissa, self.bias_exponent)
        low, high = np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0)
        threshold = self.threshold << STATE_SHIFT
        lowest, upper = widen_by_start(
            self.initial,
            Interval(bound_leaky_sum(low, none, steps), bound_leaky_sum(high, none, steps)),
        )
        highest = np.maximum(threshold, self.initial) + high
        if self.reset == "soft":
            highest = highest + bound_leaky_sum(np.maximum(high - threshold, 0), none, steps)
        return {"u": u, "v": Interval(lowest, np.minimum(highest, upper))}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {
            "threshold": self.threshold * 64.0,
            "bias": shift_bias(self.bias_mantissa, self.bias_exponent) * 1.0,
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the thresholds; there are no decays."""
        return {"compartment": np.asarray(0), "threshold": self.threshold}


IntegrateFire.integer = IntegerIntegrateFire
