"""Scales of populations whose biases the host writes for every sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snncompile.hwmodels.schema import Chip
from snncompile.ir.graph import Network, Population
from snncompile.ir.input import Input
from snncompile.ir.reports import QuantizedLayer
from snncompile.neurons.base import FloatNeuron
from snncompile.neurons.convert import read_limit
from snncompile.neurons.fixed import STATE_SHIFT
from snncompile.passes.quantize.choice import Choice

HEADROOM = 2
"""Times the largest bias of the sample that the integers hold."""


def quantize_fed(
    network: Network, population: Population, quantize: Callable[..., Choice]
) -> Choice:
    """Return a population in integers, with a scale under which the host's biases fit the chip.

    It is quantized with the largest bias in place of the host's. Biases of the host are whole
    multiples of 2^6, a mantissa with the exponent 6, so half of the range of an exponent 7 is used.

    Args:
        network: the float network.
        population: one that the host feeds; its own bias is 0.
        quantize: returns the integers of a population, called with (network, population) and the
            spikes of the calibration data, which are none: replaying them lacks the host's biases.
    """
    layer = network.input.find_host(population.name)
    assert layer is not None
    largest = np.asarray(2 * HEADROOM * layer.largest)
    biased = replace(population, neuron=replace(population.neuron, bias=largest))  # type: ignore[call-arg]
    choice = quantize(network, biased, spike_trains=None)
    without: dict[str, Any] = {"bias_mantissa": np.asarray(0), "bias_exponent": np.asarray(0)}
    neuron = replace(choice.population.neuron, **without)
    errors = {k: v for k, v in choice.report.parameter_error.items() if k != "bias"}
    return replace(
        choice,
        population=replace(choice.population, neuron=neuron),
        report=choice.report.model_copy(update={"parameter_error": errors}),
    )


def measure_biases(
    source: Input, reports: Sequence[QuantizedLayer], network: Network, chip: Chip
) -> Input:
    """Return the input with the unit and the limit of the host's biases on the chip."""
    scales = {report.population: report.scale for report in reports}
    layers = []
    for layer in source.host:
        neuron = network.population(layer.target).neuron
        assert isinstance(neuron, FloatNeuron)
        unit = (1 << neuron.input_shift) / scales[layer.target]
        layers.append(replace(layer, unit=unit, limit=find_largest_mantissa(chip)))
    return replace(source, host=tuple(layers)) if layers else source


def find_largest_mantissa(chip: Chip) -> int:
    """Return the largest number n for which a bias of n * 2^6 fits the chip."""
    mantissa = read_limit(chip.formats.bias_mantissa)
    exponent = read_limit(chip.formats.bias_exponent)
    return min(mantissa, (mantissa << exponent) >> STATE_SHIFT)
