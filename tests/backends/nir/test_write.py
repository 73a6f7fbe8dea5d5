"""NIR files we write: nir accepts them, they read back to the same spikes, or are refused."""

from __future__ import annotations

import nir
import nir_plain
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import chain, changed, design, joined, random_network, spikes

from snncompile import to_nir as write
from snncompile.compiler import compile
from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.file import read_nir
from snncompile.frontends.nir.from_nir import from_nir
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.base import Interval
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.neurons.multi_spike_lif import MultiSpikeLif
from snncompile.neurons.readout import Readout
from snncompile.passes.timing.retime import Retime
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense
from snncompile.synapses.scale import Scale


def some(rng, *shape):
    return np.rint(rng.normal(0.3, 0.7, shape) * 64) / 64


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_networks_read_back_to_the_same_spikes(tmp_path_factory, seed):
    network = random_network(seed)
    path = tmp_path_factory.mktemp("nir") / "some.nir"
    write(network, path)
    nir.read(path)
    again = from_nir(path)
    assert again.notes[0] == (
        "NIR: read as written by snncompile (its metadata says so); origin= sets it"
    )
    x = spikes(network, 3, 15, seed=seed)
    np.testing.assert_array_equal(again.run(x).spikes, network.run(x).spikes)


@settings(max_examples=40)
@given(graph=nir_plain.graphs())
def test_random_graphs_go_through_a_file_of_ours(tmp_path_factory, graph):
    folder = tmp_path_factory.mktemp("nir")
    nir.write(folder / "theirs.nir", graph)
    network = from_nir(folder / "theirs.nir", origin="nir", dt=nir_plain.DT)
    write(network, folder / "ours.nir", dt=nir_plain.DT)
    nir.read(folder / "ours.nir")
    again, x = from_nir(folder / "ours.nir"), spikes(network, 2, 12)
    np.testing.assert_array_equal(again.run(x).spikes, network.run(x).spikes)


def convolution(rng, source, channels, kernel, groups=1, **more):
    space = len(source) - 1
    options = {"stride": (1,) * space, "padding": (0,) * space, "dilation": (1,) * space} | more
    wiring = Convolution(source, channels, kernel, groups=groups, **options)
    return Synapses(wiring, some(rng, *wiring.weight_shape))


def pool(source):
    wiring = Convolution(source, source[0], (2, 2), (2, 2), (0, 0), (1, 1), source[0])
    return Synapses(wiring, np.full(wiring.weight_shape, 0.3))


IMAGE = (2, 6, 6)
WIRINGS = {
    "square": lambda rng: convolution(rng, IMAGE, 3, (3, 3), padding=(1, 1)),
    "two sizes": lambda rng: convolution(rng, IMAGE, 3, (3, 1), stride=(1, 2)),
    "dilated": lambda rng: convolution(rng, IMAGE, 3, (1, 3), dilation=(2, 2), padding=(0, 1)),
    "not to be made square": lambda rng: convolution(rng, IMAGE, 3, (3, 2)),
    "groups": lambda rng: convolution(rng, IMAGE, 4, (3, 3), groups=2),
    "pool": lambda rng: pool(IMAGE),
    "line": lambda rng: convolution(rng, (2, 9), 3, (3,), stride=(2,), padding=(1,)),
    "scale": lambda rng: Synapses(Scale(72, per_neuron=True), some(rng, 72)),
}
NODES = {
    "square": ["Conv2d", "Input", "LIF", "Output"],
    "two sizes": ["Conv2d", "Input", "LIF", "Output"],
    "dilated": ["Conv2d", "Input", "LIF", "Output"],
    "not to be made square": ["Affine", "Flatten", "Input", "LIF", "Output"],
    "groups": ["Conv2d", "Input", "LIF", "Output"],
    "pool": ["Input", "LIF", "Output", "Scale", "SumPool2d"],
    "line": ["Conv1d", "Input", "LIF", "Output"],
    "scale": ["Input", "LIF", "Output", "Scale"],
}


@pytest.mark.parametrize("name", WIRINGS)
def test_every_wiring_reads_back(tmp_path, name):
    synapses = WIRINGS[name](np.random.default_rng(1))
    wiring = synapses.wiring
    source = getattr(wiring, "source_shape", IMAGE)
    target = getattr(wiring, "target_shape", IMAGE)
    neuron = CubaLif(1.0, 0.25, 0.8, reset="soft")
    network = Network(
        Input("input", source),
        (Population("a", target, neuron),),
        (Projection("input", "a", synapses),),
        "a",
    )
    write(network, tmp_path / "some.nir")
    kinds = [node.kind for node in read_nir(tmp_path / "some.nir").nodes.values()]
    assert sorted(kinds) == NODES[name]
    nir.read(tmp_path / "some.nir")
    again, x = from_nir(tmp_path / "some.nir"), spikes(network, 3, 12)
    assert again.output_shape == network.output_shape
    np.testing.assert_array_equal(again.run(x).spikes, network.run(x).spikes)


def test_a_residual_block_keeps_its_shapes(tmp_path):
    rng, neuron = np.random.default_rng(2), CubaLif(1.0, 0.25, 0.8)
    same = convolution(rng, IMAGE, 2, (3, 3), padding=(1, 1))
    network = Network(
        Input("input", IMAGE),
        (Population("a", IMAGE, neuron), Population("b", IMAGE, neuron)),
        (
            Projection("input", "a", same),
            Projection("a", "b", same),
            Projection("input", "b", Synapses(Scale(72), np.asarray(0.5)), delay=2),
        ),
        "b",
    )
    write(network, tmp_path / "some.nir")
    nodes = nir.read(tmp_path / "some.nir").nodes
    assert nodes["b"].v_threshold.shape == IMAGE
    again, x = from_nir(tmp_path / "some.nir"), spikes(network, 3, 12)
    np.testing.assert_array_equal(again.run(x).spikes, network.run(x).spikes)


def test_others_read_what_nir_can_say(tmp_path):
    """NIR's equations on the file are the network, as far as they go: a hard reset, no start."""
    rng = np.random.default_rng(3)
    decay, bias = 2.0 ** -rng.integers(0, 3, 4), some(rng, 4)
    neuron = CubaLif(0.5, decay, 0.75, bias, "hard")
    network = chain(3, 4, neuron=neuron)
    network = changed(network, projection=0, synapses=dense(some(rng, 4, 3)))
    write(network, tmp_path / "some.nir", dt=nir_plain.DT)
    graph, x = nir.read(tmp_path / "some.nir"), spikes(network, 1, 30)
    graph.nodes = {name.replace("input.", "link."): n for name, n in graph.nodes.items()}
    graph.edges = [tuple(n.replace("input.", "link.") for n in edge) for edge in graph.edges]
    expected = nir_plain.simulate(graph, x[0])
    assert expected.any()
    np.testing.assert_array_equal(network.run(x).spikes[0], expected)


KEPT = {
    "soft": CubaLif(1.0, 0.3, 0.7, 0.1, "soft"),
    "delayed": CubaLif(0.3, 0.3, 0.7, 0.1, "delayed_soft"),
    "strict": CubaLif(0.3, 0.3, 0.7, 0.1, "strict_soft"),
    "endless": CubaLif(0.0, 0.0, 0.7),
    "start": IntegrateFire(0.7, 0.1, initial=0.5),
    "readout": Readout(0.3, 0.2, 0.1, initial=0.25),
}


@pytest.mark.parametrize("name", KEPT)
def test_metadata_keeps_what_nir_cannot_say(tmp_path, name):
    network = chain(3, 2, neuron=KEPT[name], weight=0.3)
    write(network, tmp_path / "some.nir", dt=1e-3)
    again = from_nir(tmp_path / "some.nir")
    assert str(again.populations[0].neuron) == str(KEPT[name])
    assert "dt=0.001," in again.notes[1]


def test_metadata_is_not_believed_after_a_change(tmp_path):
    write(chain(3, 2, neuron=KEPT["soft"]), tmp_path / "some.nir")
    graph = nir.read(tmp_path / "some.nir")
    graph.nodes["a"].v_threshold = np.full(2, 1.5)
    nir.write(tmp_path / "other.nir", graph)
    network = from_nir(tmp_path / "other.nir")
    assert network.populations[0].neuron.threshold == 1.5
    assert network.notes[-1] == "NIR: a was changed by others, its metadata is not used"
    assert from_nir(tmp_path / "some.nir", reset="none").populations[0].neuron.reset == "none"


REFUSED = {
    "neuron": (
        lambda: chain(3, 2, neuron=MultiSpikeLif(1.0, 0.0, 1.0)),
        "a: NIR has no neuron like multi_spike_lif/soft; it has cuba_lif, integrate_fire, readout",
    ),
    "phase": (
        lambda: Retime()(design(chain(3, 2))).network,
        "a: starts in time step 1, NIR cannot say that; write the network that was imported",
    ),
    "numbers": (
        lambda: changed(chain(3, 2), input=Input("input", (3,), Interval(0, 5))),
        "input: NIR has no place for its numbers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_by_name_and_leaves_nothing_behind(tmp_path, name):
    make, message = REFUSED[name]
    with pytest.raises(UnsupportedError) as error:
        write(make(), tmp_path / "some.nir")
    assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []


def test_refuses_a_time_step_of_nothing(tmp_path):
    with pytest.raises(InputError, match=r"^dt must be a positive number of seconds, got 0$"):
        write(chain(3, 2), tmp_path / "some.nir", dt=0)


def test_a_program_is_written_as_the_network_it_was_made_of(tmp_path):
    network = joined(("input", "a", 0), ("a", "b", 0), ("b", "a", 2))
    compile(network, chip="loihi2").emit(tmp_path / "some.nir", "nir")
    again, x = from_nir(tmp_path / "some.nir"), spikes(network, 2, 9)
    np.testing.assert_array_equal(again.run(x).spikes, network.run(x).spikes)
