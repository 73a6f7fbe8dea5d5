"""A trained ResNet-20, converted, on real Lava: every output of every population."""

from __future__ import annotations

import conversion_networks as trained
import numpy as np
import pytest
from networks import LOIHI2, design

import snncompile
from snncompile.backends.lava.run import spike_trains
from snncompile.passes.quantize.quantize import Quantize
from snncompile.passes.timing.retime import Retime
from snncompile.reference.simulate import check_spikes, run_batches

IMAGES, LIMIT_S = 10, 900
SIGNED = pytest.param("signed", 8, marks=pytest.mark.very_slow)


@pytest.mark.parametrize("method, steps", [SIGNED, ("graded", 1)])
@pytest.mark.lava
@pytest.mark.slow
def test_ten_images_equal_the_reference_spike_for_spike(lava, shared, method, steps):
    calibration, _ = trained.lossless(shared, "train")
    images, _ = trained.lossless(shared, "test")
    made = snncompile.from_ann(trained.resnet(shared), calibration[:300], method, steps)
    shown = made.input.present(images[:IMAGES])
    network = Quantize()(Retime()(design(made, LOIHI2, shown[:8]))).network
    (wanted,) = run_batches(network, check_spikes(network, shown))
    found = spike_trains(network, shown, timeout_s=LIMIT_S)
    assert {p.name for p in network.populations} == set(found)
    for population in network.populations:
        expected = wanted[population.name].numpy()
        assert np.count_nonzero(expected), f"{population.name} is silent: nothing is compared"
        assert (found[population.name] == expected).all(), population.name
