"""Shared by the resonate-and-fire neurons: a complex potential that turns and shrinks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snncompile.arrays import Floats, Ints
from snncompile.neurons import convert
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Interval, State, Width
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT, divide_by_4096, saturate

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats

PORTS = ("real", "imag")


@dataclass(frozen=True, eq=False)
class Resonator(FloatNeuron):
    """Complex potential, float: each time step turns it, shrinks it and adds the complex input.

    new real = cos_decay * real - sin_decay * imag + x real
    new imag = sin_decay * real + cos_decay * imag + x imag
    """

    sin_decay: Floats
    """(1 - decay) * sin(2 pi / period)."""
    cos_decay: Floats
    """(1 - decay) * cos(2 pi / period)."""
    threshold: Floats
    """In the unit of the weights; see the neuron."""

    states: ClassVar[tuple[str, ...]] = PORTS
    potential: ClassVar[str] = "real"
    ports: ClassVar[tuple[str, ...]] = PORTS

    @classmethod
    def of(cls, period: ArrayLike, decay: ArrayLike, threshold: ArrayLike, **others: Any) -> Self:
        """Return the neuron with a period in time steps and a share of the size lost in each."""
        angle = 2 * np.pi / np.asarray(period, np.float64)
        kept = 1 - np.asarray(decay, np.float64)
        return cls(kept * np.sin(angle), kept * np.cos(angle), threshold, **others)  # type: ignore[arg-type]

    def _check(self) -> None:
        kept = np.hypot(self.sin_decay, self.cos_decay)
        if (kept > 1 + 1e-9).any():
            raise ValueError(f"sin_decay and cos_decay must shrink, they stretch by {kept.max():g}")
        convert.check_positive("threshold", self.threshold)

    def turn(self, state: State, x: Any) -> tuple[Any, Any]:
        """Return the new real and imaginary part."""
        (real, imag), (x_real, x_imag) = state, x
        new_real = self.cos_decay * real - self.sin_decay * imag + x_real
        return new_real, self.sin_decay * real + self.cos_decay * imag + x_imag

    def quantize(self, scale: Any, formats: Formats) -> IntegerResonator:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        kind: Any = self.integer
        integer: IntegerResonator = kind(
            convert.round_turn(self.sin_decay, formats),
            convert.round_turn(self.cos_decay, formats),
            convert.round_level("threshold", self.threshold * scale, lowest=1),
            initial=convert.round_initial(self.initial * scale),
        )
        return integer


@dataclass(frozen=True, eq=False)
class IntegerResonator(IntegerNeuron):
    """Complex potential, integer: Lava's fixed-point `RF` and `RF_IZ` with a state_exp of 6.

    Each product is rounded toward zero by itself, and both parts saturate:

        new real = saturate(cos_decay * real / 4096 - sin_decay * imag / 4096 + (x real << 6))
        new imag = saturate(sin_decay * real / 4096 + cos_decay * imag / 4096 + (x imag << 6))

    Lava keeps both factors in 16 bits without a sign, so it cannot have a period below 4; here
    they may be negative.
    """

    sin_decay: Ints
    """Lava's sin_decay: share of a part that moves to the other, out of 4096."""
    cos_decay: Ints
    """Lava's cos_decay: share of a part that stays, out of 4096."""
    threshold_level: Ints
    """In the unit of the potential, 1 or more: Lava's vth after its shift by state_exp."""

    states: ClassVar[tuple[str, ...]] = PORTS
    potential: ClassVar[str] = "real"
    ports: ClassVar[tuple[str, ...]] = PORTS
    widths: ClassVar[dict[str, Width]] = dict.fromkeys(PORTS, Width(effect="saturates"))

    def _check(self) -> None:
        for name in ("sin_decay", "cos_decay"):
            worst = np.abs(getattr(self, name)).max()
            if worst > DECAY_ONE:
                raise ValueError(f"{name} must be within +-{DECAY_ONE}, got {worst}")
        convert.check_steps("threshold_level", self.threshold_level, 1)

    def turn(self, state: State, x: Any) -> tuple[Any, Any]:
        """Return the new real and imaginary part."""
        (real, imag), (x_real, x_imag) = state, x
        new_real = divide_by_4096(self.cos_decay * real) - divide_by_4096(self.sin_decay * imag)
        new_imag = divide_by_4096(self.sin_decay * real) + divide_by_4096(self.cos_decay * imag)
        return (
            saturate(new_real + (x_real << STATE_SHIFT)),
            saturate(new_imag + (x_imag << STATE_SHIFT)),
        )

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the intervals of both parts; see `IntegerNeuron.bounds`.

        The size of the potential is multiplied by r = |(cos_decay, sin_decay)| / 4096 and grows by
        that of the input; rounding moves each part by less than 1. Resets only shrink it.
        """
        largest = np.maximum(-np.asarray(x.low, np.float64), x.high) * 2.0**STATE_SHIFT
        arriving = np.hypot(largest[0], largest[1])
        r = np.hypot(self.sin_decay, self.cos_decay) / DECAY_ONE
        initial = np.abs(self.initial)
        moving = (arriving > 0) | (initial > 0)
        with np.errstate(invalid="ignore"):  # 0 times an infinite number of steps
            reach = np.where(initial > 0, initial * _bound_last_power(r, steps), 0.0)
            reach = reach + (arriving + np.sqrt(2)) * _sum_powers(r, steps)
        reach = np.where(moving, reach, 0.0)
        return {name: Interval(-reach, reach) for name in PORTS}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers, at scale 1."""
        return {
            "sin_decay": self.sin_decay / DECAY_ONE,
            "cos_decay": self.cos_decay / DECAY_ONE,
            "threshold": self.threshold_level.astype(np.float64),
        }

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return the pairs of factors, and the thresholds."""
        sine, cosine = np.broadcast_arrays(self.sin_decay, self.cos_decay)
        return {"compartment": sine * 2**16 + cosine, "threshold": self.threshold_level}


def _sum_powers(r: Floats, steps: int | None) -> Floats:
    """Return 1 + r + r^2 + ..., as many terms as there are time steps."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if steps is None:
            return np.where(r < 1, 1 / (1 - r), np.inf)
        return np.where(r == 1, steps, (1 - r**steps) / (1 - r))


def _bound_last_power(r: Floats, steps: int | None) -> Floats:
    """Return the largest power of r that can meet the initial potential."""
    with np.errstate(over="ignore"):
        return np.where(r <= 1, 1.0, np.inf if steps is None else r ** (steps or 0))
