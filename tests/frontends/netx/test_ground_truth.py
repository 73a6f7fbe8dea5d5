"""Layers whose spikes were recorded from Lava by others (lava-dl, tests of netx/test_blocks.py).

A synapse process takes one time step, so Lava's layers answer one step later than ours.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from net_files import conv, dense, flat, other_neuron, write
from networks import changed

from snncompile.frontends.netx.from_netx import from_netx
from snncompile.reference.simulate import check_spikes, run_batches

DENSE = {"type": "CUBA", "iDecay": 4096, "vDecay": 415, "vThMant": 6}
TINY = {"type": "CUBA", "iDecay": 4096, "vDecay": 1024, "vThMant": 25}
SDNN = {"type": "SDNN", "vThMant": 20}


@pytest.fixture
def net(tmp_path):
    return lambda *layers: write(tmp_path / "some.net", *layers)


def recorded(shared, name: str):
    with np.load(shared / "netx" / f"{name}.npz") as data:
        return {key: data[key] for key in data.files}


def run(network, x):
    """Return spikes and states of the last population, each (steps, n); x: (steps, ...)."""
    states: dict[int, list[np.ndarray]] = {}

    def watch(population: str, step: int, now) -> None:
        if population == network.output:
            states[step] = [s[0].numpy() for s in now]

    (spike_trains,) = run_batches(network, check_spikes(network, x[None]), watch=watch)
    return spike_trains[network.output][0].numpy(), [states[step] for step in range(len(x))]


def factors(period: float, decay: float) -> dict[str, int]:
    """Return sinDecay and cosDecay as Lava's RF makes them: rounded toward zero."""
    angle = 2 * np.pi / period
    kept = 1 - decay
    return {
        "sinDecay": int(kept * np.sin(angle) * 4096),
        "cosDecay": int(kept * np.cos(angle) * 4096),
    }


def test_dense_with_its_currents(net, shared):
    data = recorded(shared, "dense")
    network = from_netx(net(dense(data["weight"], neuron=DENSE)))
    spikes, states = run(network, data["in"].T)
    assert spikes.sum() == 1826
    np.testing.assert_array_equal(spikes[:-1], data["out"].T[1:])
    current = np.stack([u for u, _ in states])
    np.testing.assert_array_equal(current[:-1], data["current"].T[1:] * 64)


def test_complex_dense_resonators(net, shared):
    data = recorded(shared, "complex_dense")
    layer = dense(data["weight_r"], without=["weight"])
    layer |= {"weight/real": data["weight_r"], "weight/imag": data["weight_img"]}
    neuron = {"type": "RF_PHASE", **factors(11, 0.05), "vThMant": 25}
    network = from_netx(net(other_neuron(layer, **neuron)))
    spikes, _ = run(network, data["in"].T)
    np.testing.assert_array_equal(spikes[:-1], data["out"].T[1:])
    assert data["out"].sum() == 41512


def test_resonators_that_hear_the_input_itself(net, shared):
    data = recorded(shared, "complex_dense")
    layer = flat("input", 200)
    neuron = {"type": "RF", **factors(7, 0.05), "vThMant": 1}
    network = from_netx(net(other_neuron(layer, **neuron)))
    made = network.populations[0].neuron  # recorded with a threshold of 1.1, which Lava rounds down
    network = changed(network, "layer_0", neuron=replace(made, threshold_level=int(1.1 * 64)))
    spikes, _ = run(network, data["in"].T)
    np.testing.assert_array_equal(spikes, data["current"].T)
    assert spikes.sum() == 13548


def tiny_kernel(data) -> np.ndarray:
    """Return the kernel of Lava's Conv, (out, x, y, in) and turned around, as torch's."""
    return data["layer1_kernel"].transpose(0, 3, 2, 1)[:, :, ::-1, ::-1]


def first_layers(data):
    encoder = other_neuron(flat("input", 3, 16, 16), **TINY)
    stride = {"stride": np.array([2, 2])}
    hidden = conv(tiny_kernel(data), (24, 6, 6), bias=data["layer1_bias"], **stride)
    return encoder, other_neuron(hidden, **TINY)


def test_tinynet_input_layer(net, shared):
    data = recorded(shared, "tinynet")
    encoder, _ = first_layers(data)
    bias = data["input_bias"].transpose(2, 1, 0)
    spikes, _ = run(from_netx(net(encoder)), np.stack([bias] * 15))
    wanted = data["input"][0].reshape(-1, 16).T[1:]
    np.testing.assert_array_equal(spikes, wanted)
    assert spikes.sum() == 6783


def test_tinynet_convolution_with_its_currents(net, shared):
    data = recorded(shared, "tinynet")
    _, hidden = first_layers(data)
    network = from_netx(net(flat("input", 3, 16, 16), hidden))
    spikes, states = run(network, np.moveaxis(data["input"][0], -1, 0)[1:])
    np.testing.assert_array_equal(spikes, data["layer1"][0].reshape(-1, 16).T[1:])
    current = np.stack([u for u, _ in states])
    np.testing.assert_array_equal(current, data["current"][0].reshape(-1, 16).T[1:] * 64)
    assert spikes.sum() == 1633


def test_tinynet_both_layers(net, shared):
    data = recorded(shared, "tinynet")
    bias = data["input_bias"].transpose(2, 1, 0)
    spikes, _ = run(from_netx(net(*first_layers(data))), np.stack([bias] * 15))
    np.testing.assert_array_equal(spikes, data["layer1"][0].reshape(-1, 16).T[1:])


def test_tinynet_sdnn_input_layer(net, shared):
    data = recorded(shared, "tinynet_sdnn")
    wave = np.sin(2 * np.pi * np.arange(15) / 15)
    x = (data["input_bias"][..., None] * wave).astype(int)
    network = from_netx(net(other_neuron(flat("input", 3, 16, 16), **SDNN)))
    sent, _ = run(network, x.transpose(3, 2, 1, 0))
    wanted = data["input"].transpose(3, 2, 1, 0).reshape(15, -1)
    np.testing.assert_array_equal(sent, wanted)
    assert np.count_nonzero(sent) == 1373


def test_tinynet_sdnn_convolution(net, shared):
    """One step was recorded, the first, in which nothing has arrived yet: the biases alone."""
    data = recorded(shared, "tinynet_sdnn")
    layer = conv(tiny_kernel(data), (24, 6, 6), bias=data["layer1_bias"], stride=np.array([2, 2]))
    network = from_netx(
        net(flat("input", 3, 16, 16), other_neuron(layer, **SDNN, activation="relu"))
    )
    sent, _ = run(network, np.zeros((1, 3, 16, 16)))
    wanted = data["layer1"].transpose(3, 2, 1, 0).reshape(16, -1)
    np.testing.assert_array_equal(sent[0], wanted[0])
    assert np.count_nonzero(sent) == 144


def test_tinynet_sdnn_sums(net, shared):
    """Recorded from a Dense that reads any message as 1."""
    data = recorded(shared, "tinynet_sdnn")
    layer = other_neuron(dense(data["layer2_weight"]), **SDNN, sigma_output=True)
    network = from_netx(net(layer))
    sums, _ = run(network, data["layer1"].reshape(-1, 16).T != 0)
    np.testing.assert_array_equal(sums[:-1], data["layer2"].T[1:])
    assert np.count_nonzero(sums[:-1]) == 1500
