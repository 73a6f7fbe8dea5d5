"""Files we write, loaded and run by lava-dl's own netx, which needs an environment of its own.

make netx          # once: .netx/, or NETX_PYTHON=SOME/bin/python names another Python with lava-dl
make slow
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from image_networks import image_network
from networks import changed, integer_chain, spikes

from snncompile.backends.netx.write import write_netx
from snncompile.compiler import compile
from snncompile.frontends.netx.from_netx import from_netx
from snncompile.neurons.cuba_lif import IntegerCubaLif
from snncompile.synapses.dense import integer_dense

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data" / "netx"
PYTHON = Path(os.environ.get("NETX_PYTHON") or ROOT / ".netx" / "bin" / "python")
SCRIPT = ROOT / "tests" / "helpers" / "run_in_netx.py"
SAMPLES, STEPS = 4, 16  # of 16 time steps, for on a chip netx resets every 2^n steps


def make_images():
    """Return two convolutions and a dense layer, compiled from floats."""
    network = image_network(np.random.default_rng(0))
    x = spikes(network, SAMPLES, STEPS, rate=0.3)
    program = compile(network, chip="loihi2", calibration=x, formats="netx", prune=False)
    return program.network, x


def make_parameters():
    """Return dense layers whose neurons have numbers of their own."""
    rng = np.random.default_rng(1)
    network = integer_chain(9, 7, 8, 3, neuron=IntegerCubaLif(4095, 0, 3))
    for i, p in enumerate(network.populations):
        n = p.size
        decays = rng.integers(0, 4096, n), rng.integers(0, 4096, n)
        neuron = IntegerCubaLif(*decays, rng.integers(1, 60, n), rng.integers(-9, 60, n), 6)
        weight = rng.integers(-128, 128, (n, network.projections[i].synapses.wiring.sources)) * 2
        network = changed(network, p.name, neuron=neuron)
        network = changed(network, projection=i, synapses=integer_dense(weight, 0, 8))
    return network, spikes(network, SAMPLES, STEPS, seed=1)


def make_theirs(name):
    """Return a network of lava-dl's own, which was read and is written again."""
    path = DATA / name / "network.net"
    if not path.exists():
        return None
    network = from_netx(path)
    return network, spikes(network, SAMPLES, STEPS, rate=0.3, seed=2)


NETWORKS = {
    "images": make_images,
    "parameters": make_parameters,
    "mnist": lambda: make_theirs("mnist"),
}
BUILT = {
    "images": "2 Conv, 1 Dense, 3 LIFReset",
    "parameters": "3 Dense, 3 LIFReset",
    "mnist": "3 Dense, 3 LIFReset",
}


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="no .netx: make netx installs lava-dl")
def test_netx_fires_as_the_network(tmp_path):
    """All in one process: to import netx takes most of the time."""
    wanted = {}
    for name, make in NETWORKS.items():
        made = make()
        if made is None:
            continue
        network, x = made
        write_netx(network, tmp_path / f"{name}.net")
        np.save(tmp_path / f"{name}.npy", x)
        wanted[name] = network.run(x).spikes.reshape(SAMPLES, STEPS, -1)
    done = subprocess.run(
        [str(PYTHON), str(SCRIPT), str(tmp_path)], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = (tmp_path / "names.txt").read_text().splitlines()
    assert lines == [f"{name}: {BUILT[name]}" for name in sorted(wanted)]
    for name, ours in wanted.items():
        assert 0 < ours.mean() < 1
        np.testing.assert_array_equal(np.load(tmp_path / f"{name}.out.npy"), ours, err_msg=name)
