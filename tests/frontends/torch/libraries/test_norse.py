"""norse: neurons, layers over time and recurrent ones against the library, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import library
from torch import nn

from snncompile.errors import ImportMismatchError, UnsupportedError
from snncompile.frontends.torch.from_torch import from_torch
from snncompile.frontends.torch.libraries import norse as frontend
from snncompile.neurons.readout import Readout

norse = library("norse.torch")
reset = library("norse.torch.functional.reset")


def parameters(kind, **values):
    """Return parameters of float64, as a user who computes in float64 has them."""
    tensors = {n: torch.tensor(v, dtype=torch.float64) for n, v in values.items() if n != "own"}
    return getattr(norse, f"{kind}Parameters")(**tensors, **values.get("own", {}))


def drive(*shape, seed=0):
    """Return currents around the threshold."""
    return np.random.default_rng(seed).normal(0.5, 1.0, shape)


class OverTime(nn.Module):
    """Calls a module of cells once per time step and hands its state on."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        state, record = None, []
        for step in x:
            out, state = self.inner(step, state)
            record.append(out)
        return torch.stack(record)


def native(module, x):
    """Run a module that takes (steps, samples, ...) in float64."""
    module = module.double().eval()
    with torch.no_grad():
        out = module(torch.tensor(x).double().transpose(0, 1))
    out = out[0] if isinstance(out, tuple) else out
    return out.transpose(0, 1).numpy()


SOFT = {"own": {"reset_method": reset.reset_subtract}}
NEURONS = {
    "LIFBoxCell": lambda: norse.LIFBoxCell(parameters("LIFBox", tau_mem_inv=300.0, v_th=0.4)),
    "LIFBoxCell, reset below": lambda: norse.LIFBoxCell(
        parameters("LIFBox", tau_mem_inv=300.0, v_th=0.4, v_leak=0.1, v_reset=-0.25)
    ),
    "LIFBoxCell, soft": lambda: norse.LIFBoxCell(
        parameters("LIFBox", tau_mem_inv=300.0, v_th=0.4, **SOFT), dt=0.002
    ),
    "LIFCell": lambda: norse.LIFCell(parameters("LIF", tau_syn_inv=500.0, v_th=0.3)),
    "LIF": lambda: norse.LIF(parameters("LIF", tau_syn_inv=500.0, v_th=0.3, v_leak=0.1)),
    "LIF, per neuron": lambda: norse.LIF(
        parameters("LIF", tau_mem_inv=[100.0, 200.0, 300.0, 50.0], v_th=[0.3, 0.2, 0.5, 0.25])
    ),
    "IAFCell": lambda: norse.IAFCell(parameters("IAF", v_th=1.5)),
    "IAF": lambda: norse.IAF(parameters("IAF", v_th=1.5, v_reset=0.25)),
    "LIFRecurrentCell": lambda: norse.LIFRecurrentCell(4, 5, parameters("LIF", v_th=0.3)),
    "LIFRecurrent": lambda: norse.LIFRecurrent(4, 5, parameters("LIF", v_th=0.3)),
    "LIFRecurrent, autapses": lambda: norse.LIFRecurrent(
        4, 5, parameters("LIF", v_th=0.3), autapses=True
    ),
}
SILENT = {
    "LICell": lambda: norse.LICell(parameters("LI", tau_syn_inv=500.0, v_leak=0.5)),
    "LI": lambda: norse.LI(parameters("LI", tau_syn_inv=500.0)),
    "LIBoxCell": lambda: norse.LIBoxCell(parameters("LIBox", tau_mem_inv=250.0)),
    "LILinearCell": lambda: norse.LILinearCell(4, 3, parameters("LI", tau_syn_inv=500.0)),
}


def made(name, table):
    torch.manual_seed(1)
    module = table[name]().double()
    return OverTime(module) if "Cell" in name else module


@pytest.mark.parametrize("name", NEURONS)
def test_neurons_spike_as_the_library(name):
    x = drive(8, 40, 4)
    module = made(name, NEURONS)
    network = from_torch(module, x)
    expected = exact(module, x)
    assert expected.sum() > 30
    np.testing.assert_array_equal(network.run(x).spikes, expected)


@pytest.mark.parametrize("name", SILENT)
def test_potentials_are_those_of_the_library(name):
    x = drive(5, 30, 4)
    module = made(name, SILENT)
    network = from_torch(module, x)
    assert isinstance(network.populations[-1].neuron, Readout)
    np.testing.assert_allclose(network.run(x).spikes, exact(module, x), rtol=1e-12, atol=1e-12)


def test_all_neurons_of_the_table_are_tested():
    assert {name.split(",")[0] for name in [*NEURONS, *SILENT]} == set(frontend.NEURONS)


def sequence():
    return norse.SequentialState(
        nn.Linear(4, 12),
        norse.LIF(norse.LIFParameters(v_th=torch.tensor(0.1))),
        nn.Dropout(0.3),
        nn.Linear(12, 3),
        norse.LI(),
    )


def lifted():
    return norse.SequentialState(
        norse.Lift(nn.Conv2d(2, 3, 3, padding=1)),
        norse.LIF(norse.LIFParameters(v_th=torch.tensor(0.05))),
        norse.Lift(nn.AvgPool2d(2)),
        nn.Flatten(2),
        nn.Linear(12, 5),
        norse.IAF(norse.IAFParameters(v_th=torch.tensor(0.3))),
    )


def cells():
    return OverTime(
        norse.SequentialState(
            nn.Conv2d(2, 3, 3),
            norse.LIFBoxCell(norse.LIFBoxParameters(v_th=torch.tensor(0.05))),
            nn.Flatten(),
            norse.LIFRecurrentCell(12, 6, norse.LIFParameters(v_th=torch.tensor(0.1))),
            nn.Linear(6, 3),
            norse.LICell(),
        )
    )


NETWORKS = {sequence: (4,), lifted: (2, 4, 4), cells: (2, 4, 4)}


@pytest.mark.parametrize("make", NETWORKS)
def test_networks_spike_as_the_library(make, golden):
    torch.manual_seed(2)
    module, x = make(), (drive(6, 25, *NETWORKS[make]) > 0.5).astype(np.uint8)
    network = from_torch(module, x)
    golden(str(network))
    np.testing.assert_allclose(
        network.run(x).spikes.reshape(6, 25, -1),
        exact(module, x).reshape(6, 25, -1),
        rtol=1e-12,
        atol=1e-12,
    )


def exact(module, x):
    """Run a module in float64, its parameters too, which double() leaves in float32."""
    for layer in module.modules():
        if frontend.LIBRARY.knows(layer):
            frontend.LIBRARY.keep_precision(layer)
    return native(module, x)


@settings(max_examples=25)
@given(data=st.data())
def test_random_networks_spike_as_the_library(data):
    torch.manual_seed(data.draw(st.integers(0, 10**6)))
    layers, size = [], 3
    for _ in range(data.draw(st.integers(1, 3))):
        new = data.draw(st.integers(2, 6))
        name = data.draw(st.sampled_from(["LIF", "IAF", "LIFRecurrent"]))
        threshold = torch.tensor(0.2, dtype=torch.float64)
        if name == "LIFRecurrent":
            kind = norse.LIFParameters(v_th=threshold, v_reset=threshold - 0.3)
            layers.append(norse.LIFRecurrent(size, new, kind))
        else:
            layers += [nn.Linear(size, new)]
            layers.append(getattr(norse, name)(getattr(norse, f"{name}Parameters")(v_th=threshold)))
        size = new
    module, x = norse.SequentialState(*layers).double(), drive(4, 20, 3, seed=7)
    network = from_torch(module, x)
    np.testing.assert_array_equal(network.run(x).spikes, exact(module, x))


@pytest.mark.parametrize("change", [{"potential_decay": 0.05}, {"gain": 0.09}, {"constant": 0.02}])
def test_another_parameter_would_be_noticed(monkeypatch, change):
    true = frontend.Dynamics
    monkeypatch.setattr(frontend, "Dynamics", lambda **own: true(**own | change))
    with pytest.raises(ImportMismatchError):
        from_torch(norse.LIF(norse.LIFParameters(v_th=torch.tensor(0.2))), drive(9, 40, 4))


REFUSED = {
    "fast": (
        lambda: norse.LIF(norse.LIFParameters(tau_mem_inv=torch.tensor(2000.0))),
        "LIF: LIF loses 2 times a state in a time step; use time constants of dt or more",
    ),
    "threshold": (
        lambda: norse.IAF(norse.IAFParameters(v_reset=torch.tensor(1.0))),
        "IAF: IAF with v_th=1 and v_reset=1 fires without input; use a v_th above v_reset",
    ),
    "shape": (
        lambda: norse.LIF(norse.LIFParameters(v_th=torch.ones(2, 4))),
        "LIF: v_th has shape (2, 4) for neurons of shape (4,); give one number or one per neuron",
    ),
    "adaptive": (
        lambda: norse.LSNN(),
        "LSNN: LSNN is not known; no chip neuron has its equations; use LIF, LIFBoxCell or IAF",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_by_name(name):
    make, message = REFUSED[name]
    with pytest.raises(UnsupportedError) as error:
        from_torch(make(), drive(4, 10, 4), time="first")
    assert str(error.value) == message
