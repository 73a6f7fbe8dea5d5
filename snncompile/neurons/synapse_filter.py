"""Filter of spikes whose decay pauses while one arrives: SpikingJelly's SynapseFilter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats, Ints
from snncompile.errors import QuantizeError
from snncompile.neurons import convert
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Interval, State, Width
from snncompile.neurons.delta_code import SPIKE_EXPONENT
from snncompile.neurons.fixed import (
    DECAY_ONE,
    STATE_LIMIT,
    STATE_SHIFT,
    divide_by_4096,
    saturate,
)
from snncompile.neurons.ranges import Range

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats

UNIT_SHIFT = SPIKE_EXPONENT + STATE_SHIFT
"""A potential of 1.0 is 2^12 as an integer: it is sent as 2^6, and six more bits are kept."""
LARGEST_MESSAGE = (STATE_LIMIT - 1) >> STATE_SHIFT
LARGEST_RISE = (1 << 17) - 1
"""As of a threshold; assumed."""


@dataclass(frozen=True, eq=False)
class SynapseFilter(FloatNeuron):
    """Filter of spikes, float. Its output is a number in every time step.

    One time step; `x` is the number of spikes that arrived in this step:

        v = v - (1 - x) * v * potential_decay + rise * x
        output = v

    So a spike adds its rise and holds the decay up. The equation is that of spikingjelly 2.0.0,
    `functional.synapse_filter_step`, with potential_decay = 1 / tau and a rise of 1.
    """

    potential_decay: Floats
    """Share of the potential lost in one time step without a spike, 0..1."""
    rise: Floats = 1.0  # type: ignore[assignment]
    """Added by a spike, positive, in the unit of the output."""

    name: ClassVar[str] = "synapse_filter"
    states: ClassVar[tuple[str, ...]] = ("v",)
    input_shift: ClassVar[int] = UNIT_SHIFT
    message_unit: ClassVar[int] = 1 << SPIKE_EXPONENT
    unit_of_inputs: ClassVar[bool] = False
    instead: ClassVar[str] = (
        "its spikes are numbers; leave the filter out, or take neurons whose current has a memory"
    )

    def _check(self) -> None:
        convert.check_share("potential_decay", self.potential_decay)
        convert.check_positive("rise", self.rise)

    @classmethod
    def has_unit(cls, name: str) -> bool:
        """Whether a parameter is in the unit of the output; what arrives is counted."""
        return name in ("rise", "initial")

    @property
    def natural_value(self) -> float | None:
        """Return what a spike adds."""
        return float(self.rise.max())

    @property
    def payload(self) -> Interval:
        """Any message that a potential of 24 bits gives."""
        return Interval(-LARGEST_MESSAGE, LARGEST_MESSAGE)

    @property
    def fixed_scale(self) -> float | None:
        """Return 2^12, with which a weight of 1 stays 1: spikes are counted."""
        return float(1 << UNIT_SHIFT)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v,) and the output."""
        (v,) = state
        v = v - (1.0 - x) * v * self.potential_decay + self.rise * x
        return (v,), v

    def quantize(self, scale: Any, formats: Formats) -> IntegerSynapseFilter:
        """Return the integer neuron; see `FloatNeuron.quantize`. The compiler's scale is 2^12.

        Raises:
            QuantizeError: a rise is not between half of a message and the largest one.
        """
        rise = np.rint(self.rise * (scale / (1 << STATE_SHIFT))).astype(np.int64)
        if rise.min() < 1 or rise.max() > LARGEST_RISE:
            worst = rise.min() if rise.min() < 1 else rise.max()
            raise QuantizeError(f"rise {worst} is outside 1..{LARGEST_RISE}")
        return IntegerSynapseFilter(
            convert.round_decay(self.potential_decay, formats),
            rise,
            initial=convert.round_initial(self.initial * scale),
        )


@dataclass(frozen=True, eq=False)
class IntegerSynapseFilter(IntegerNeuron):
    """Filter of spikes, integer. `x` is the number of spikes, which is not shifted:

        v = v * (4096 - potential_decay * (1 - x)) / 4096, rounded toward zero
        v = saturate(v + ((rise * x) << 6))
        output = (v + 32) >> 6

    Without a spike that is the decay of Lava's fixed-point `LIF`, with one there is none.
    """

    potential_decay: Ints
    """potential_decay / 4096 of the potential is lost in a time step without a spike."""
    rise: Ints = 64  # type: ignore[assignment]
    """Rise of the message by a spike, 1 or more."""

    name: ClassVar[str] = "synapse_filter"
    states: ClassVar[tuple[str, ...]] = ("v",)
    instead: ClassVar[str] = SynapseFilter.instead
    state_exponent: ClassVar[int] = STATE_SHIFT
    """Bits of the potential that are not sent."""
    widths: ClassVar[dict[str, Width]] = {"v": Width(effect="saturates")}

    def _check(self) -> None:
        convert.check_positive("rise", self.rise)

    @property
    def payload(self) -> Interval:
        """Any message that a potential of 24 bits gives."""
        return Interval(-LARGEST_MESSAGE - 1, LARGEST_MESSAGE + 1)

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (v,) and the output."""
        (v,) = state
        kept = divide_by_4096(v * (DECAY_ONE - self.potential_decay * (1 - x)))
        v = saturate(kept + ((self.rise * x) << STATE_SHIFT))
        return (v,), (v + (1 << STATE_SHIFT - 1)) >> STATE_SHIFT

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the interval of v; see `IntegerNeuron.bounds`.

        A time step multiplies v by at most the largest factor of any x, and adds its rise. One
        spike in every step holds the decay up for ever, so without a number of steps there is no
        bound.
        """
        low, high = np.asarray(x.low, np.float64), np.asarray(x.high, np.float64)
        decay = self.potential_decay / DECAY_ONE
        factor = np.maximum(np.abs(1 - decay * (1 - low)), np.abs(1 - decay * (1 - high)))
        added = np.maximum(-low, high) * (self.rise << STATE_SHIFT)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if steps is None:
                times = np.where(factor < 1, 1 / (1 - factor), np.inf)
                grown = np.where(factor > 1, np.inf, 1.0)
            else:
                times = np.where(factor == 1, steps, (factor**steps - 1) / (factor - 1))
                grown = np.maximum(factor**steps, 1.0)
            reach = np.where(added == 0, 0.0, added * times)
            reach += np.where(self.initial == 0, 0.0, np.abs(self.initial) * grown)
        never_negative = (low >= 0) & (self.initial >= 0)
        return {"v": Interval(np.where(never_negative, 0.0, -reach), reach)}

    @classmethod
    def ranges(cls, formats: Formats) -> dict[str, Range]:
        """Return the ranges of its parameters; that of the rise is assumed."""
        return super().ranges(formats) | {"rise": (1, LARGEST_RISE)}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {
            "potential_decay": self.potential_decay / DECAY_ONE,
            "rise": np.asarray(self.rise * float(1 << STATE_SHIFT), np.float64),
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the decays and the rises."""
        return {"compartment": self.potential_decay, "threshold": self.rise}


SynapseFilter.integer = IntegerSynapseFilter
