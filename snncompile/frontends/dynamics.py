"""What a neuron layer of any library does, in our words; what it becomes in a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snncompile.neurons.base import FloatNeuron, Floats
from snncompile.neurons.cuba_lif import CubaLif, Reset
from snncompile.neurons.readout import Readout

ALWAYS = np.asarray(1.0)
"""Current decay of a neuron without memory in its current."""


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Dynamics of one neuron layer; each parameter is one number or one per neuron."""

    current_decay: Floats
    potential_decay: Floats
    threshold: Floats
    reset: Reset

    @property
    def bias_on_potential(self) -> bool:
        """Whether the current has no memory, so that a constant drive acts like a bias."""
        return bool((self.current_decay == 1).all())

    def neuron(self, bias: Floats) -> CubaLif:
        """Return the neuron; `bias` is added to its potential."""
        return CubaLif(self.current_decay, self.potential_decay, self.threshold, bias, self.reset)

    def readout(self, bias: Floats) -> FloatNeuron:
        """Return the readout of a layer that never resets and whose potential is the answer."""
        return Readout(self.current_decay, self.potential_decay, bias)
