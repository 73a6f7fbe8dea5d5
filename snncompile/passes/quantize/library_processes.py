"""Neurons and numbers that processes of Lava's own library hold, which have models for Loihi 2.

What they hold is in `backends/lava/hardware/`: resets to 0, one threshold for all neurons, biases
of 13 bits with an exponent of 3, convolutions whose weights have no exponent. A LIF starts at 0; an
initial potential can be what arrives in the first step, if its current has no memory. A Delta
shifts what arrives by the bits that it does not send, and more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snncompile.arrays import Floats
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population, Projection
from snncompile.neurons.delta import IntegerDelta
from snncompile.neurons.fixed import CONV_BITS, DECAY_ONE, STATE_SHIFT, apply_decay, shift_bias
from snncompile.synapses.base import IntegerSynapses, Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import Dense
from snncompile.synapses.sparse import Sparse

NO_MEMORY = 4095
"""Integer decay of a current without memory."""
LARGEST_BIAS, LARGEST_EXPONENT = 4095, 7
"""Mantissa and exponent of a bias that the docstring of Lava's LIF names."""
LARGEST_STATE_EXPONENT = 7
"""Lava's state_exp has 3 bits (lava-nc 0.10.0, proc/sdn/models.py)."""
SENDS_CHANGES = ("delta", "sigma_delta")
ADDING_UP = ("sigma", "sigma_delta")
"""Neurons that add up the changes that arrive."""
LARGEST_POTENTIAL = 131000 << STATE_SHIFT
"""Of a readout: a LIF whose threshold, 131071, is never reached."""


def use_hard_resets(network: Network) -> tuple[Network, list[str]]:
    """Return the network with resets to 0, and the populations that had another reset."""
    changed = [
        p.name
        for p in network.populations
        if p.neuron.name in ("cuba_lif", "integrate_fire")
        and getattr(p.neuron, "reset", "hard") != "hard"
    ]
    populations = tuple(
        replace(p, neuron=replace(p.neuron, reset="hard")) if p.name in changed else p  # type: ignore[call-arg]
        for p in network.populations
    )
    return replace(network, populations=populations), changed


def use_one_threshold(network: Network) -> Network:
    """Return the network whose populations have one threshold each, the largest of their neurons.

    A neuron with a hard reset fires the same if its weights, bias, start and threshold are
    multiplied by one number. Where neurons of one channel of a convolution have several thresholds,
    which share a kernel, they keep them.
    """
    for population in network.populations:
        neuron: Any = population.neuron
        if neuron.name not in ("cuba_lif", "integrate_fire") or neuron.reset != "hard":
            continue
        threshold = np.broadcast_to(neuron.threshold, population.size)
        factor = threshold.max() / threshold
        into = [(p, _multiply_targets(p, factor)) for p in network.into(population.name)]
        if (factor == 1).all() or any(new is None for _, new in into):
            continue
        scaled = {
            "threshold": np.asarray(threshold.max()),
            "bias": neuron.bias * factor,
            "initial": neuron.initial * factor,
        }
        exchanged = {id(old): new for old, new in into if new is not None}
        network = replace(
            network,
            populations=tuple(
                replace(p, neuron=replace(neuron, **scaled)) if p is population else p
                for p in network.populations
            ),
            projections=tuple(exchanged.get(id(p), p) for p in network.projections),
        )
    return network


def _multiply_targets(projection: Projection, factor: Floats) -> Projection | None:
    """Return the projection with the weights of each target multiplied; None where they share."""
    synapses = projection.synapses
    assert isinstance(synapses, Synapses)
    wiring, weight = synapses.wiring, synapses.weight
    if projection.rule is not None:
        return None
    if isinstance(wiring, Dense):
        weight = weight * factor[:, np.newaxis]
    elif isinstance(wiring, Sparse):
        weight = weight * factor[wiring.target]
    elif isinstance(wiring, Convolution):
        channels = factor.reshape(wiring.channels, -1)
        if (channels != channels[:, :1]).any():
            return None
        weight = weight * channels[:, 0].reshape(-1, *(1 for _ in weight.shape[1:]))
    else:
        return None
    return replace(projection, synapses=replace(synapses, weight=weight))


def hears_convolution(network: Network, population: Population) -> bool:
    """Return whether a convolution ends at a population."""
    return any(isinstance(p.synapses.wiring, Convolution) for p in network.into(population.name))


def without_exponents(chip: Chip) -> Chip:
    """Return a chip whose weights have no exponent, as those of Lava's Conv."""
    none = {"weight_exponent_lowest": 0, "weight_exponent_highest": 0}
    return chip.model_copy(update={"formats": chip.formats.model_copy(update=none)})


def fit_library(population: Population) -> Population:
    """Return an integer population with a bias and a start that the library's processes hold."""
    neuron: Any = population.neuron
    mantissa = getattr(neuron, "bias_mantissa", None)
    if mantissa is not None and mantissa.any():
        neuron = _fit_bias(neuron)
    if neuron.initial.any() and population.neuron.name in ("cuba_lif", "integrate_fire"):
        neuron = _fit_start(neuron)
    return replace(population, neuron=neuron)


def _fit_bias(neuron: Any) -> Any:
    """Return the neuron with one exponent for all biases, the smallest that holds the largest."""
    bias = shift_bias(neuron.bias_mantissa, neuron.bias_exponent)
    for exponent in range(LARGEST_EXPONENT + 1):
        rounded = np.rint(bias / 2.0**exponent).astype(np.int64)
        if np.abs(rounded).max() <= LARGEST_BIAS:
            return replace(neuron, bias_mantissa=rounded, bias_exponent=np.asarray(exponent))
    return neuron


def _fit_start(neuron: Any) -> Any:
    """Return the neuron with starts of which the decay leaves whole weights in the first step."""
    if (getattr(neuron, "current_decay", np.asarray(NO_MEMORY)) != NO_MEMORY).any():
        return neuron
    decay = getattr(neuron, "potential_decay", np.asarray(0))
    unit = 1 << STATE_SHIFT
    left = np.rint(apply_decay(neuron.initial, decay) / unit).astype(np.int64) * unit
    kept = np.maximum(DECAY_ONE - decay, 1)
    start = np.sign(left) * -(-np.abs(left) * DECAY_ONE // kept)
    exact = apply_decay(start, decay) == left
    return replace(neuron, initial=np.where(exact, start, neuron.initial))


def fit_delta(
    population: Population, projections: tuple[Projection, ...]
) -> tuple[Population, tuple[Projection, ...]]:
    """Return integers of which the bits that a Delta does not send are its own shift.

    Its weights lose them; where a weight does not have them, nothing changes.
    """
    neuron: Any = population.neuron
    if not isinstance(neuron, IntegerDelta) or neuron.input_exponent.any():
        return population, projections
    bits = int(neuron.state_exponent.max(initial=0))
    moved = []
    for p in projections:
        synapses = p.synapses
        assert isinstance(synapses, IntegerSynapses)
        if (synapses.weight % (1 << max(bits - synapses.exponent, 0))).any():
            return population, projections
        less = replace(synapses, exponent=synapses.exponent - bits)
        moved.append(replace(p, synapses=less))
    shifted = replace(neuron, input_exponent=neuron.state_exponent)
    return replace(population, neuron=shifted), tuple(moved)


def wrap_like_conv(projection: Projection) -> Projection:
    """Return a convolution whose sums wrap as those of Lava's Conv; others as they are."""
    synapses = projection.synapses
    assert isinstance(synapses, IntegerSynapses)
    if not isinstance(synapses.wiring, Convolution):
        return projection
    return replace(projection, synapses=replace(synapses, sum_bits=CONV_BITS))
