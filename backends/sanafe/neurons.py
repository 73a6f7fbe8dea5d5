"""Our neurons as SANA-FE's `leaky_integrate_fire` soma, if it computes the same spikes.

SANA-FE computes, in float64 with potentials cut to multiples of 1/64,

    v = trunc(v * leak_decay * 64) / 64 + bias + input ; fires when v > threshold

With v, bias and threshold in units of 64 that is Lava's fixed-point arithmetic, bit for bit, as
long as the current has no memory (decay 4096 of 4096) and nothing wraps or saturates. A population
that needs more is replayed: its soma gets no input and a bias per step that makes it fire, only
write its potential, or rest, as recorded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snncompile.ir.graph import IntegerNetwork, Population, Projection
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.neurons.fixed import DECAY_ONE, STATE_SHIFT, shift_bias
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.synapses.base import IntegerSynapses

Attributes = dict[str, Any]
"""Names and values of a soma's attributes; an array holds one value per neuron."""

UNIT = float(1 << STATE_SHIFT)
RESETS = ("hard", "soft", "none")
FIRE, WRITE, REST = 2.0, -2.0, 0.0
"""Biases of a replayed neuron: above its threshold, below its reverse threshold, none."""
REPLAY: Attributes = {
    "threshold": 1.0,
    "leak_decay": 0.0,
    "reset_mode": "hard",
    "reverse_threshold": -1.0,
    "reverse_reset_mode": "hard",
    "reverse_reset": 0.0,
}


def explain_replay(network: IntegerNetwork, population: Population) -> str | None:
    """Return the reason why SANA-FE cannot compute a population; None if it can."""
    neuron = population.neuron
    if not isinstance(neuron, IntegerCubaLif | IntegerIntegrateFire):
        return f"it has no neuron {neuron.kind}"
    if np.any(neuron.initial):
        return "its potentials start at 0"
    if neuron.reset not in RESETS:
        return f"it has no reset {neuron.reset}"
    if isinstance(neuron, IntegerCubaLif) and (neuron.current_decay != DECAY_ONE - 1).any():
        return "its neurons have no decaying current"
    return next(
        filter(
            None, (_explain_replay_by_synapses(network, p) for p in network.into(population.name))
        ),
        None,
    )


def _explain_replay_by_synapses(network: IntegerNetwork, p: Projection) -> str | None:
    if p.delay != 1:
        return "its synapses have no delay"
    if network.payload(p.source) != (0, 1):
        return "its spikes carry no value"
    return None if _is_scalable(p) else "its sums are not rounded"


def _is_scalable(p: Projection) -> bool:
    assert isinstance(p.synapses, IntegerSynapses)
    step = 2 ** max(-p.synapses.exponent, 0)
    return not (p.synapses.weight % step).any()


def make_attributes(population: Population) -> Attributes:
    """Return the attributes of a population that SANA-FE can compute, without its bias."""
    neuron = population.neuron
    assert isinstance(neuron, IntegerCubaLif | IntegerIntegrateFire)
    decay: Any = neuron.potential_decay if isinstance(neuron, IntegerCubaLif) else 0
    return {
        "threshold": np.asarray(neuron.threshold, np.float64),
        "leak_decay": (DECAY_ONE - np.asarray(decay, np.float64)) / DECAY_ONE,
        "reset_mode": neuron.reset,
    }


def make_bias(population: Population) -> NDArray[np.float64]:
    """Return the bias of each neuron of such a population, shape (n,)."""
    neuron: Any = population.neuron
    value = shift_bias(neuron.bias_mantissa, neuron.bias_exponent) / UNIT
    return np.broadcast_to(np.asarray(value, np.float64), (population.size,))


def list_synapses(
    p: Projection, replayed: bool
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
    """Return source, target and weight of every synapse; a replayed target gets no input."""
    assert isinstance(p.synapses, IntegerSynapses)
    matrix = p.synapses.wiring.matrix(p.synapses.weight).tocoo()
    scale = 0.0 if replayed else 2.0**p.synapses.exponent
    return matrix.col, matrix.row, matrix.data * scale
