"""Sigma decoder: adds up changes; the answer of a sigma-delta network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snncompile.arrays import Floats
from snncompile.neurons import convert, delta_code
from snncompile.neurons.base import FloatNeuron, IntegerNeuron, Interval, State
from snncompile.neurons.fixed import wrap_word

if TYPE_CHECKING:
    from snncompile.hwmodels.schema import Formats


@dataclass(frozen=True, eq=False)
class Sigma(FloatNeuron):
    """Sigma decoder, float. Its output is the sum of its input; it never fires.

    sigma = sigma + x
    output = sigma
    """

    name: ClassVar[str] = "sigma"
    states: ClassVar[tuple[str, ...]] = ("sigma",)
    potential: ClassVar[str] = "sigma"
    spikes: ClassVar[bool] = False
    input_shift: ClassVar[int] = 0

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (sigma,) and the sum."""
        sigma = state[0] + x
        return (sigma,), sigma

    def quantize(self, scale: Any, formats: Formats) -> IntegerSigma:
        """Return the integer neuron; see `FloatNeuron.quantize`."""
        return IntegerSigma(initial=convert.round_initial(self.initial * scale))


@dataclass(frozen=True, eq=False)
class IntegerSigma(IntegerNeuron):
    """Sigma decoder, integer: Lava's fixed-point `Sigma`, bit for bit.

    Lava declares 24 bits and keeps 32, which wrap. `x` is the accumulated weights times payloads:

        sigma = wrap32(sigma + x)
        output = sigma
    """

    name: ClassVar[str] = "sigma"
    states: ClassVar[tuple[str, ...]] = ("sigma",)
    potential: ClassVar[str] = "sigma"
    spikes: ClassVar[bool] = False

    @property
    def adds_up(self) -> bool:
        """It adds up what arrives."""
        return True

    def step(self, state: State, x: Any) -> tuple[State, Any]:
        """Return the next (sigma,) and the sum."""
        sigma = wrap_word(state[0] + x)
        return (sigma,), sigma

    def bounds(self, x: Interval, steps: int | None) -> dict[str, Interval]:
        """Return the interval of sigma; see `IntegerNeuron.bounds` and `IntegerSigmaDelta`."""
        return {"sigma": delta_code.bound_sum(x, self.initial, steps)}

    def real(self) -> dict[str, Floats]:
        """Return the float parameters of these integers: none."""
        return {}

    def profile(self) -> dict[str, NDArray[Any]]:
        """Return zeros: all neurons are the same."""
        return {"compartment": np.asarray(0), "threshold": np.asarray(0)}


Sigma.integer = IntegerSigma
