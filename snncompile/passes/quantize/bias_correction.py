"""Biases that make up for the mean error of rounded weights, and what arrives beside them.

Neurons with a threshold add a bias in each step, so the mean of what arrives counts. Those that
receive digits double their potential in each step: a window of K steps adds up
2^(K - 1 - i) * (sum of w * x_i + bias), so step i counts for 2^(K - 1 - i) / (2^K - 1) of a mean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor, arange, float64

from snncompile.arrays import Floats
from snncompile.errors import QuantizeError
from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.cyclic import Cyclic
from snncompile.neurons.phase_fire import PhaseFire
from snncompile.passes.quantize.errors import Integers
from snncompile.passes.quantize.rounding import FEW_BITS
from snncompile.reference.runner import SpikeTrains


def find_inputs(
    network: Network, population: Population, spike_trains: SpikeTrains | None, bits: int
) -> SpikeTrains | None:
    """Return outputs of the sources whose mean a bias stands beside; None if there are none.

    Args:
        network: the float network.
        population: of neurons with a threshold.
        spike_trains: outputs of the network, shape (samples, steps, sources).
        bits: of a weight; with many of them digits arrive well enough.
    """
    neuron = population.neuron
    if isinstance(neuron, FloatNeuron) and neuron.bias_adds_up:
        return spike_trains
    return weigh_digits(network, population, spike_trains) if bits <= FEW_BITS else None


def weigh_digits(
    network: Network, population: Population, spike_trains: SpikeTrains | None
) -> SpikeTrains | None:
    """Return what each source sends on the average of the window, shape (samples, 1, sources).

    Args:
        network: the float network.
        population: of neurons that receive digits.
        spike_trains: outputs of the network, shape (samples, steps, sources).

    Returns:
        None for other neurons, and where it is not known when a source sends.
    """
    neuron = population.neuron
    if spike_trains is None or not isinstance(neuron, PhaseFire):
        return None
    window = int(neuron.window.max())
    weights = 2.0 ** -arange(1, window + 1, dtype=float64)
    weights = weights / weights.sum()
    means = {}
    for source in {p.source for p in network.into(population.name)}:
        digits = _select_window(network, source, spike_trains[source], window)
        if digits is None or digits.shape[1] != window:
            return None
        means[source] = (digits.double() * weights[None, :, None]).sum(dim=1, keepdim=True)
    return means


def _select_window(network: Network, source: str, train: Tensor, window: int) -> Tensor | None:
    """Return the steps in which a source sends; None if that is not known."""
    if source == network.input.name:
        return train[:, :window]
    sender = network.population(source).neuron
    if not isinstance(sender, Cyclic):
        return None
    emitted: Tensor = sender.select_emitted(train)
    return emitted


def correct_bias(
    neuron: Any, integers: Integers, shift: Floats, scale: Floats, chip: Chip
) -> tuple[Integers, dict[str, Floats]]:
    """Return the integers with a bias that makes up for the mean input that rounding adds.

    Args:
        neuron: of the float network.
        integers: its population and projections as integers.
        shift: mean input that rounding adds to each neuron.
        scale: of each neuron.
        chip: gives the range of the bias.

    Returns:
        The integers, and the bias as a float; as they were if the chip has no room for it.
    """
    bias = neuron.bias - shift
    try:
        integer = replace(neuron, bias=bias).quantize(scale, chip.formats)
    except QuantizeError:
        return integers, {}
    return (replace(integers[0], neuron=integer), integers[1]), {"bias": bias}
