"""Non-spiking leaky integrator whose potential is the network's answer."""

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
class Readout(FloatNeuron):
    """Leaky integrator, float. Its output is the potential; it never fires.

    One time step, in this order; `x` is the synaptic input that arrived in this step:

        u = (1 - current_decay) * u + x
        v = (1 - potential_decay) * v + u + bias
        output = v
    """

    current_decay: Floats
    """Share of the current lost in one time step, 0..1; 1: no memory in the current."""
    potential_decay: Floats
    """Share of the potential lost in one time step, 0..1; 0: no leak."""
    bias: Floats = 0.0  # type: ignore[assignment]
    """Added to v in each time step."""

    name: ClassVar[str] = "readout"
    states: ClassVar[tuple[str, ...]] = ("u", "v")
    spikes: ClassVar[bool] = False

    def _check(self) -> None:
        for name in ("current_decay", "potential_decay"):
            convert.check_share(name, getattr(self, name))

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v) and the potential."""
        u, v = state
        u = (1 - self.current_decay) * u + x
        v = (1 - self.potential_decay) * v + u + self.bias
        return (u, v), v

    def quantize(self, scale: Any, formats: Formats) -> IntegerReadout:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        mantissa, exponent = convert.round_bias(self.bias * scale, formats)
        return IntegerReadout(
            convert.round_decay(self.current_decay, formats, offset=1),
            convert.round_decay(self.potential_decay, formats),
            mantissa,
            exponent,
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerReadout(IntegerNeuron):
    """Leaky integrator, integer: the arithmetic of Lava's fixed-point `LIF` without its spike.

    u = wrap(apply_decay(u, current_decay + 1) + (x << 6))
    v = saturate(apply_decay(v, potential_decay) + u + (bias_mantissa << bias_exponent))
    output = v
    """

    current_decay: Ints
    """(current_decay + 1) / 4096 of the current is lost in one time step."""
    potential_decay: Ints
    """potential_decay / 4096 of the potential is lost in one time step."""
    bias_mantissa: Ints = 0  # type: ignore[assignment]
    bias_exponent: Ints = 0  # type: ignore[assignment]

    name: ClassVar[str] = "readout"
    states: ClassVar[tuple[str, ...]] = ("u", "v")
    spikes: ClassVar[bool] = False

    def _check(self) -> None:
        convert.check_exponent("bias_exponent", self.bias_exponent)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (u, v) and the potential."""
        u, v = state
        u = wrap(apply_decay(u, self.current_decay + 1) + (x << STATE_SHIFT))
        v = apply_decay(v, self.potential_decay) + u
        v = saturate(v + shift_bias(self.bias_mantissa, self.bias_exponent))
        return (u, v), v

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of u and v; see `IntegerNeuron.bounds`."""
        u = bound_current(x, self.current_decay + 1, steps)
        bias = shift_bias(self.bias_mantissa, self.bias_exponent)
        low, high = np.minimum(u.low + bias, 0), np.maximum(u.high + bias, 0)
        decay = self.potential_decay
        v = Interval(bound_leaky_sum(low, decay, steps), bound_leaky_sum(high, decay, steps))
        return {"u": u, "v": widen_by_start(self.initial, v)}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {
            "current_decay": (self.current_decay + 1) / 4096,
            "potential_decay": self.potential_decay / 4096,
            "bias": shift_bias(self.bias_mantissa, self.bias_exponent) * 1.0,
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the decays; there is no threshold."""
        both = np.broadcast_arrays(self.current_decay, self.potential_decay)
        return {"compartment": both[0] * 4096 + both[1], "threshold": np.asarray(0)}


Readout.integer = IntegerReadout
