"""`.net` files we write: they read back to the same integer network, or are refused by name."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_networks import image_network
from networks import alone, chain, changed, integer_chain, spikes

from snncompile.backends.netx.write import list_layers, write_netx
from snncompile.compiler import compile
from snncompile.errors import UnsupportedError
from snncompile.frontends.netx.from_netx import from_netx
from snncompile.ir.graph import Input, IntegerNetwork, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import CubaLif, IntegerCubaLif
from snncompile.neurons.integrate_fire import IntegerIntegrateFire
from snncompile.neurons.readout import IntegerReadout
from snncompile.synapses.base import IntegerSynapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense, integer_dense
from snncompile.synapses.scale import Scale


def same(network, path, x):
    """Compare a network with what a file of it reads back to, all of its populations in a row."""
    write_netx(network, path)
    again = from_netx(path)
    assert [p.size for p in again.populations] == [p.size for p in network.populations]
    np.testing.assert_array_equal(
        again.run(x.reshape(*x.shape[:2], *again.input.shape)).spikes.reshape(*x.shape[:2], -1),
        network.run(x).spikes.reshape(*x.shape[:2], -1),
    )
    return again


@settings(max_examples=40)
@given(data=st.data())
def test_chains_read_back_to_the_same_spikes(tmp_path_factory, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    network = integer_chain(*sizes, neuron=IntegerCubaLif(4095, 0, 3))
    for i, population in enumerate(network.populations):

        def some(low, high, size=population.size):
            return rng.integers(low, high, size if rng.random() < 0.5 else ())

        neuron = IntegerCubaLif(some(0, 4096), some(0, 4096), some(1, 300), some(-9, 20), 6)
        if rng.random() < 0.3:
            neuron = IntegerIntegrateFire(some(1, 300), some(-9, 20) * 2, 5, "hard")
        weight = rng.integers(-128, 128, (sizes[i + 1], sizes[i])) * 2
        weight.flat[0] = 2
        network = changed(network, population.name, neuron=neuron)
        network = changed(network, projection=i, synapses=integer_dense(weight, 0, 8))
    path = tmp_path_factory.mktemp("net") / "some.net"
    same(network, path, spikes(network, 3, 20, seed=1))


def test_a_compiled_network_of_convolutions_reads_back(tmp_path):
    network = image_network(np.random.default_rng(0))
    x = spikes(network, 4, 15, rate=0.3)
    program = compile(network, chip="loihi2", calibration=x, formats="netx", prune=False)
    program.emit(tmp_path / "some.net", "netx")
    again = from_netx(tmp_path / "some.net")
    assert program.run(x).spikes.any()
    np.testing.assert_array_equal(again.run(x).spikes, program.run(x).spikes)
    for old, new in zip(program.network.projections, again.projections, strict=True):
        np.testing.assert_array_equal(old.synapses.weight, new.synapses.weight)
    agreement = (network.run(x).spikes == program.run(x).spikes).mean()
    assert agreement > 0.97  # what rounding to these formats leaves of the spikes


def test_what_a_file_holds(tmp_path, golden):
    """Names, shapes and types as lava-dl's netx expects them."""
    network = image_network(np.random.default_rng(0))
    program = compile(network, chip="loihi2", formats="netx", prune=False)
    write_netx(program.network, tmp_path / "some.net")
    lines = []

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            lines.append(f"{name} {item.dtype} {item.shape}")

    with h5py.File(tmp_path / "some.net") as file:
        file.visititems(note)
        assert file["layer/1/type"][0] == b"conv"
    golden("\n".join([*lines, ""]))


def test_formats_of_a_file_are_used_only_on_demand():
    network = chain(3, 2, neuron=CubaLif(1.0, 0.1, 1.0, 0.3), weight=0.4)
    network = changed(network, projection=0, synapses=dense([[0.4, 0.3, 0.9], [0.1, 0.2, 0.3]]))
    free = compile(network, chip="loihi2").network
    netx = compile(network, chip="loihi2", formats="netx").network
    assert free.projections[0].synapses.weight.max(axis=1).tolist() == [252, 252]  # each its scale
    assert netx.projections[0].synapses.weight.max(axis=1).tolist() == [254, 84]
    assert netx.projections[0].synapses.exponent == 0
    assert netx.populations[0].neuron.bias_exponent == 6


def with_weights(weight, **more):
    return changed(integer_chain(3, 2), projection=0, synapses=integer_dense(weight, 0, 8), **more)


W = np.full((2, 3), 2)
CONV = Convolution((1, 3, 3), 2, (2, 2), (1, 1), (0, 0), (1, 1))


def image(neuron):
    synapses = IntegerSynapses(CONV, np.full(CONV.weight_shape, 2, np.int16), 0, 8)
    return IntegerNetwork(
        Input("input", (1, 3, 3)),
        (Population("a", (2, 2, 2), neuron, phase=1),),
        (Projection("input", "a", synapses, 1),),
        "a",
    )


def behind_a_dense_layer():
    network = integer_chain(3, 9, 8)
    synapses = IntegerSynapses(CONV, np.full(CONV.weight_shape, 2, np.int16), 0, 8)
    return changed(network, projection=1, synapses=synapses)


def skip():
    network = integer_chain(3, 3, 3, 3)
    more = Projection("a", "c", integer_dense(np.full((3, 3), 2), 0, 8), 2)
    return changed(network, projections=(*network.projections, more))


def two_sources():
    network = integer_chain(3, 3)
    more = Projection("a", "a", integer_dense(np.full((3, 3), 2), 0, 8), 1)
    return changed(network, projections=(*network.projections, more))


# A new case is one more entry: the network, then the whole message.
REFUSED = {
    "soft reset": (
        lambda: integer_chain(3, 2, neuron=IntegerCubaLif(4095, 0, 9, reset="soft")),
        "a: cuba_lif/soft has no place in a .net file, only cuba_lif/hard; train with a hard reset",
    ),
    "readout": (
        lambda: integer_chain(3, 2, neuron=IntegerReadout(4095, 0)),
        "a: readout has no place in a .net file, only cuba_lif/hard; train with a hard reset",
    ),
    "start": (
        lambda: integer_chain(3, 2, neuron=IntegerCubaLif(4095, 0, 9, initial=5)),
        "a: an initial potential has no place in a .net file",
    ),
    "skip": (
        skip,
        "a: feeds b, c; a .net file holds a chain of layers, each feeding the next one",
    ),
    "loop": (
        two_sources,
        "a: is fed by input, a; a .net file holds a chain of layers, each fed by the one before it",
    ),
    "delay": (
        lambda: changed(integer_chain(3, 2), projection=0, delay=3),
        "projection input -> a: a delay of 2 time steps is not carried, netx ignores it",
    ),
    "exponent": (
        lambda: integer_chain(3, 2, exponent=2),
        "projection input -> a: weights with an exponent of 2 have no place in a .net file;"
        " compile with formats='netx'",
    ),
    "odd": (
        lambda: integer_chain(3, 2, weight=3, bits=9),
        "projection input -> a: weights of a .net file are even, from -256 to 254; compile with"
        " formats='netx'",
    ),
    "zeros": (
        lambda: integer_chain(3, 2, weight=0),
        "projection input -> a: all weights are 0, and netx divides by the largest",
    ),
    "bias": (
        lambda: integer_chain(3, 2, neuron=IntegerCubaLif(4095, 0, 9, 3, 2)),
        "a: a bias that is no multiple of 64, or above 32767 times it, has no place in a .net file;"
        " compile with formats='netx'",
    ),
    "numbers": (
        lambda: changed(integer_chain(3, 2), input=Input("input", (3,), Interval(0, 5))),
        "input: numbers as input are not known to the netx writer",
    ),
    "per neuron": (
        lambda: image(IntegerCubaLif(4095, 0, np.arange(1, 9))),
        "a: vThMant differs from neuron to neuron; netx takes one for a convolution",
    ),
    "bias of a place": (
        lambda: image(IntegerCubaLif(4095, 0, 9, np.arange(8), 6)),
        "a: a bias that differs within a channel has no place in a .net file; train without batch"
        " norm before padding",
    ),
    "flat image": (
        behind_a_dense_layer,
        "projection a -> b: a convolution of (1, 3, 3) behind a layer of shape (9,) is not known"
        " to netx",
    ),
    "output": (
        lambda: changed(integer_chain(3, 3, 2), output="a"),
        "a: is the output, but b is the last layer",
    ),
    "island": (
        lambda: changed(
            integer_chain(3, 2),
            populations=(
                *integer_chain(3, 2).populations,
                Population("alone", (2,), IntegerCubaLif(4095, 0, 9)),
            ),
        ),
        "alone: is not fed by the layer before it; a .net file holds a chain of layers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_by_name_and_leaves_nothing_behind(tmp_path, name):
    make, message = REFUSED[name]
    with pytest.raises(UnsupportedError) as error:
        write_netx(make(), tmp_path / "some.net")
    assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []


def test_other_wirings_become_dense_layers(tmp_path):
    """A one-to-one connection is a diagonal, a convolution over one axis a band."""
    line = Convolution((1, 6), 2, (3,), (1,), (0,), (1,))
    wirings = (Scale(6, per_neuron=True), line)
    populations = (
        Population("a", (1, 6), IntegerCubaLif(4095, 0, 3), phase=1),
        Population("b", line.target_shape, IntegerCubaLif(4095, 100, 3), phase=2),
    )
    weights = [np.array([2, 4, 6, 8, 10, 12]), np.arange(6).reshape(2, 1, 3) * 2]
    network = IntegerNetwork(
        Input("input", (1, 6)),
        populations,
        tuple(
            Projection(source, target, IntegerSynapses(wiring, weight.astype(np.int16), 0, 8), 1)
            for source, target, wiring, weight in zip(
                ("input", "a"), "ab", wirings, weights, strict=True
            )
        ),
        "b",
    )
    kinds = [layer["type"][0].decode() for layer in list_layers(network)]
    assert kinds == ["input", "dense", "dense"]
    same(network, tmp_path / "some.net", spikes(network, 3, 12))


def test_layers_of_one_neuron(tmp_path):
    network = alone(IntegerCubaLif(4095, 0, 1), 1)
    same(network, tmp_path / "some.net", spikes(network, 2, 8))
