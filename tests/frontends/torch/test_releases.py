"""Older releases of the libraries import exactly; each is installed into a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn
from uv import find_uv_bin

from snncompile.frontends.torch import releases

PRELUDE = """
import warnings
warnings.simplefilter("ignore")
import numpy as np, torch
from torch import nn
from snncompile.frontends.torch.from_torch import from_torch
x = (np.random.default_rng(0).random((4, 9, 6)) < 0.5).astype(np.uint8)
def linear():
    layer = nn.Linear(6, 5, bias=False)
    nn.init.normal_(layer.weight, 0.3, 0.8, generator=torch.Generator().manual_seed(0))
    return layer
def check(*layers):
    network = from_torch(nn.Sequential(*layers), x)
    assert not network.notes, network.notes
    assert network.run(x).spikes.any()
"""
SNNTORCH = """
import snntorch as snn
for make in (
    lambda: snn.Leaky(0.8, init_hidden=True),
    lambda: snn.Leaky(0.8, init_hidden=True, reset_mechanism="zero"),
    lambda: snn.Leaky(0.8, init_hidden=True, reset_delay=False),
    lambda: snn.Synaptic(0.5, 0.8, init_hidden=True),
    lambda: snn.Lapicque(0.8, init_hidden=True),
    lambda: snn.RLeaky(0.8, linear_features=5, init_hidden=True),
    lambda: snn.RSynaptic(0.5, 0.8, linear_features=5, init_hidden=True),
):
    check(linear(), make())
"""
CLOCK_DRIVEN = """
from spikingjelly.clock_driven import layer, neuron
for make in (
    lambda: neuron.IFNode(),
    lambda: neuron.LIFNode(tau=4.0, v_reset=None, decay_input=False),
    lambda: neuron.ParametricLIFNode(),
):
    check(linear(), make())
for make in (
    lambda: neuron.MultiStepIFNode(),
    lambda: neuron.MultiStepLIFNode(tau=4.0),
    lambda: neuron.MultiStepParametricLIFNode(),
):
    check(layer.SeqToANNContainer(linear()), make())
"""
ACTIVATION_BASED = """
from spikingjelly.activation_based import functional, layer, neuron
for make in (
    lambda: neuron.IFNode(),
    lambda: neuron.LIFNode(v_reset=None, decay_input=False),
    lambda: neuron.ParametricLIFNode(),
):
    for mode in "sm":
        layers = nn.Sequential(layer.Linear(6, 5), make())
        nn.init.normal_(layers[0].weight, 0.5, 0.8)
        functional.set_step_mode(layers, mode)
        check(*layers)
"""
SINABS = """
import sinabs.layers as sl
for make in (
    lambda: sl.IAF(),
    lambda: sl.IAFSqueeze(batch_size=2),
    lambda: sl.LIF(tau_mem=5.0),
    lambda: sl.LIF(tau_mem=5.0, tau_syn=3.0),
    lambda: sl.ExpLeak(tau_mem=5.0),
):
    check(linear(), make())
"""
SCRIPTS = {
    ("snntorch", "0.8.1"): SNNTORCH,
    ("snntorch", "0.9.4"): SNNTORCH,
    ("spikingjelly", "0.0.0.0.12"): CLOCK_DRIVEN,
    ("spikingjelly", "0.0.0.0.14"): CLOCK_DRIVEN + ACTIVATION_BASED,
    ("sinabs", "1.2.10"): SINABS,
    ("sinabs", "2.0.0"): SINABS,
}


@pytest.mark.very_slow
@pytest.mark.slow
@pytest.mark.parametrize("package, release", SCRIPTS)
def test_a_release_imports_exactly(package, release, tmp_path):
    install = [find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path)]
    wanted = ["--python", sys.executable, f"{package}=={release}"]
    done = subprocess.run([*install, *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{package} {release} cannot be installed: {done.stderr.strip()[:200]}")
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(root)])}
    script = PRELUDE + SCRIPTS[package, release]
    run = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]


def test_every_tested_release_has_its_script_or_is_installed():
    for package, tested in releases.TESTED.items():
        pytest.importorskip(package)
        installed = releases.version(package)
        assert installed in tested
        assert [r for r in tested if r != installed] == [r for p, r in SCRIPTS if p == package]


def test_another_release_is_named_where_nothing_fits(monkeypatch):
    snn = pytest.importorskip("snntorch")
    net = nn.Sequential(snn.Leaky(0.5))
    assert releases.describe_untested(net) == ""
    monkeypatch.setattr(releases, "version", lambda package: "0.5.0")
    assert releases.describe_untested(net) == (
        "snntorch 0.5.0 was not tested; tested are 0.8.1, 0.9.4, 1.0.0"
    )
