"""Files written for spyx, read and run by spyx: it needs jax, so it has an environment of its own.

python -m venv SPYX && SPYX/bin/pip install spyx==1.0.0
SPYX_PYTHON=SPYX/bin/python make slow
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from snncompile import to_nir
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense

PYTHON = os.environ.get("SPYX_PYTHON", "")
SCRIPT = Path(__file__).parents[2] / "helpers" / "run_in_spyx.py"
LIF, LAYERS, STEPS = (1.0, 0.25, 0.83), 2, 30
LEAKY = CubaLif(*LIF, reset="delayed_soft")
CURRENT = CubaLif(0.4, 0.25, 0.83, reset="soft")


def draw(*shape):
    return np.random.default_rng(sum(shape)).normal(0.15, 0.5, shape)


def make_dense(neuron):
    populations = (Population("a", (20,), neuron), Population("b", (5,), neuron))
    projections = (
        Projection("input", "a", dense(draw(20, 12))),
        Projection("a", "b", dense(draw(5, 20))),
    )
    return Network(Input("input", (12,)), populations, projections, "b")


def make_images(neuron):
    first = Convolution((2, 6, 6), 3, (3, 3), (1, 1), (1, 1), (1, 1))
    second = Convolution((3, 6, 6), 2, (3, 3), (2, 2), (1, 1), (1, 1))
    populations = (Population("a", (3, 6, 6), neuron), Population("b", (2, 3, 3), neuron))
    projections = (
        Projection("input", "a", Synapses(first, draw(*first.weight_shape))),
        Projection("a", "b", Synapses(second, draw(*second.weight_shape))),
    )
    return Network(Input("input", (2, 6, 6)), populations, projections, "b")


NETWORKS = {
    "LIF": lambda: make_dense(LEAKY),
    "no leak": lambda: make_dense(IntegrateFire(0.83, 0.0, "soft")),
    "current": lambda: make_dense(CURRENT),
    "bias": lambda: make_dense(CubaLif(*LIF, bias=0.1, reset="delayed_soft")),
    "convolution": lambda: make_images(LEAKY),
}


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON, reason="SPYX_PYTHON names no Python with spyx")
@pytest.mark.parametrize("name", NETWORKS)
def test_spyx_fires_as_the_network_one_step_later_per_layer(name, tmp_path):
    network = NETWORKS[name]()
    x = (np.random.default_rng(8).random((2, STEPS, *network.input.shape)) < 0.3).astype(np.uint8)
    files = [str(tmp_path / file) for file in ("some.nir", "x.npy", "out.npy")]
    to_nir(network, files[0], reader="spyx")
    np.save(files[1], x)
    subprocess.run([PYTHON, str(SCRIPT), *files], check=True, capture_output=True, timeout=600)
    theirs, ours = np.load(files[2]), network.run(x).spikes
    if theirs.ndim == 5:
        theirs = np.moveaxis(theirs, -1, 2)
    theirs = theirs.reshape(*theirs.shape[:2], -1)[:, LAYERS:]
    ours = ours.reshape(*ours.shape[:2], -1)[:, :-LAYERS]
    assert ours.any()
    first = LAYERS if name == "bias" else 0
    np.testing.assert_array_equal(theirs[:, first:], ours[:, first:])
