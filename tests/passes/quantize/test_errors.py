"""What quantize reports to be lost: of outputs, weights and parameters, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from networks import alone, chain, changed, quantized

from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.readout import Readout

HARD = CubaLif(1.0, 0.0, 1.0)


def test_output_error_is_the_share_of_wrong_spikes_given_right_inputs():
    """b gets a's float spikes, not those of the quantized a."""
    network = chain(1, 1, 1, neuron=IntegrateFire(1.0, reset="hard"), weight=0.7)
    network = changed(network, "a", neuron=IntegrateFire(0.7, reset="hard"))
    x = np.ones((1, 8, 1), np.uint8)
    done = quantized(network, calibration=x)
    assert network.run(x).spikes.sum() > 0
    assert done.quantized[1].output_error == 0.0


def test_output_error_of_a_readout_is_relative():
    """2 bits: of 1 and 0.4, the clip is kept of the one and nothing, or the clip, of the other.

    The bias makes up for their mean.
    """
    network = alone(Readout(1.0, 1.0), weight=[[1.0, 0.4]], sources=2)
    x = np.array([[[1, 0], [0, 1]]], np.uint8)
    report = quantized(network, calibration=x, bits=2).quantized[0]
    assert report.output_error == pytest.approx(abs_error(report.clip), rel=1e-2)  # the bias rounds


def abs_error(clip: float) -> float:
    errors = np.array([clip - 1, clip * np.rint(0.4 / clip) - 0.4])
    return float((((errors - errors.mean()) ** 2).sum() / (1 + 0.4**2)) ** 0.5)


def test_reported_errors_by_hand():
    neuron = CubaLif([1 / 3, 0.5], 0.0, [1.0, 0.6], [0.0, 0.1])
    network = alone(neuron, 2, [[1.0, 0.4], [0.0, -1.0]], sources=2)
    report = quantized(network, bits=2, steps=1, scales="population").quantized[0]
    scale = report.scale
    assert report.median_error == pytest.approx((0.16 / 1.16) ** 0.5 / 2)
    assert report.worst_error == pytest.approx((0.16 / 1.16) ** 0.5)
    assert report.worst_neuron == 0
    assert report.weight_error == pytest.approx((0.16 / 2.16) ** 0.5)
    thresholds = np.array([1.0, 0.6]) * scale / 64
    assert report.parameter_error == pytest.approx(
        {
            "current_decay": abs(1365 / 4096 - 1 / 3),
            "potential_decay": 0.0,
            "threshold": np.abs(np.rint(thresholds) / thresholds - 1).max(),
            "bias": bias_error(0.1 * scale) / scale / 0.6,
        }
    )


def bias_error(value: float) -> float:
    exponent = next(e for e in range(8) if np.rint(value / 2**e) <= 4095)
    return abs(np.rint(value / 2**exponent) * 2**exponent - value)


def test_nothing_lost_is_an_error_of_zero():
    report = quantized(alone(HARD, weight=[[0.0]])).quantized[0]
    assert report.weight_error == 0.0
    assert report.parameter_error["bias"] == 0.0
