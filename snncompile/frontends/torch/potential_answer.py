"""An answer computed from potentials of neurons that spike: a readout beside them follows these.

A reset that subtracts the threshold is one more synapse, from each neuron to its readout:

    delayed_soft          v = (1 - decay) v + x - threshold * spike of the step before
    soft, strict_soft     v = (1 - decay) v + x - threshold * spike of this step
"""

from __future__ import annotations

import numpy as np

from snncompile.frontends.torch.drive_sum import Sum
from snncompile.frontends.torch.dynamics import Dynamics
from snncompile.frontends.torch.multiply_out import scale
from snncompile.ir.graph import Population, Projection, Shape
from snncompile.synapses.base import Synapses
from snncompile.synapses.scale import Scale

RESET_DELAYS = {"delayed_soft": 1, "soft": 0, "strict_soft": 0}
"""Reset -> time steps from a spike to its effect on the potential."""


def can_follow(dynamics: Dynamics) -> bool:
    """Return whether the potential is linear in input and spikes."""
    linear = dynamics.reset == "none" or dynamics.reset in RESET_DELAYS
    return linear and dynamics.bias_on_potential and dynamics.lowest is None


def follow_potential(
    dynamics: Dynamics, drive: Sum, name: str, source: str, shape: Shape
) -> tuple[Population, Sum, list[Projection]]:
    """Return the readout, its drive, and the projection that resets it.

    Args:
        dynamics: of the neurons.
        drive: of the neurons, as they take it.
        name: of the readout.
        source: name of the population of the neurons.
        shape: of the neurons.
    """
    scaled = scale(drive, np.asarray(dynamics.gain))
    bias = drive.bias if drive.bias.any() else np.asarray(0.0)
    readout = Population(name, shape, dynamics.make_readout(bias))
    if dynamics.reset == "none":
        return readout, scaled, []
    size = len(drive.bias)
    threshold = np.asarray(dynamics.threshold, dtype=np.float64)
    synapses = Synapses(Scale(size, per_neuron=threshold.ndim == 1), -threshold)
    delay = RESET_DELAYS[dynamics.reset]
    return readout, scaled, [Projection(source, name, synapses, delay)]
