"""NIR files for a reader: what it does not have is refused, and biases are where it finds them.

Readers that are installed run all networks of `docs/cases_nir.py` in `tests/test_docs.py`.
"""

from __future__ import annotations

import nir
import numpy as np
import pytest
from networks import chain, changed, spikes

from snncompile import to_nir
from snncompile.compiler import compile
from snncompile.errors import InputError, UnsupportedError
from snncompile.frontends.nir.file import read_nir
from snncompile.frontends.nir.from_nir import from_nir
from snncompile.ir.graph import Input, Network, Population, Projection
from snncompile.neurons.cuba_lif import CubaLif
from snncompile.neurons.integrate_fire import IntegrateFire
from snncompile.synapses.base import Synapses
from snncompile.synapses.convolution import Convolution
from snncompile.synapses.dense import dense

RNG = np.random.default_rng(2)
HARD = CubaLif(1.0, 0.25, 0.75, reset="hard")


def with_bias(neuron, bias):
    weight = np.rint(RNG.normal(0.3, 0.5, (4, 3)) * 64) / 64
    return changed(chain(3, 4, neuron=neuron), projection=0, synapses=dense(weight)), bias


BIAS = np.array([0.125, -0.25, 0.0, 0.5])
BIASED = {
    "leak": CubaLif(1.0, 0.25, 0.75, BIAS, reset="hard"),
    "soft": CubaLif(1.0, 0.25, 0.75, BIAS, reset="soft"),
    "no leak": IntegrateFire(0.75, BIAS, "hard"),
}


@pytest.mark.parametrize("name", BIASED)
def test_a_bias_is_in_the_affine_before_the_neurons(tmp_path, name):
    network, bias = with_bias(BIASED[name], BIAS)
    to_nir(network, tmp_path / "some.nir")
    graph = nir.read(tmp_path / "some.nir")
    kinds = {type(node).__name__: node for node in graph.nodes.values()}
    np.testing.assert_array_equal(kinds["Affine"].bias, bias)
    assert not np.any(getattr(graph.nodes["a"], "v_leak", 0))
    again, x = from_nir(tmp_path / "some.nir"), spikes(network, 3, 20)
    assert str(again.populations[0].neuron) == str(network.populations[0].neuron)
    np.testing.assert_array_equal(again.run(x).spikes, network.run(x).spikes)


def test_a_bias_per_channel_is_in_the_convolution(tmp_path):
    wiring = Convolution((2, 4, 4), 3, (3, 3), (1, 1), (1, 1), (1, 1))
    synapses = Synapses(wiring, RNG.normal(0.2, 0.4, wiring.weight_shape))
    bias = np.repeat([0.25, -0.125, 0.5], 16)
    network = Network(
        Input("input", (2, 4, 4)),
        (Population("a", (3, 4, 4), CubaLif(1.0, 0.25, 0.75, bias)),),
        (Projection("input", "a", synapses),),
        "a",
    )
    to_nir(network, tmp_path / "some.nir")
    convolution = next(
        n for n in nir.read(tmp_path / "some.nir").nodes.values() if isinstance(n, nir.Conv2d)
    )
    assert convolution.bias.tolist() == [0.25, -0.125, 0.5]
    again, x = from_nir(tmp_path / "some.nir"), spikes(network, 2, 12)
    np.testing.assert_array_equal(again.run(x).spikes, network.run(x).spikes)


def test_a_population_that_is_a_bias_becomes_one(tmp_path):
    """As an importer makes it for currents with a memory; read back it is there again."""
    always, weight = IntegrateFire(1.0, 2.0, "hard"), np.array([[0.25], [0.5]])
    network = Network(
        Input("input", (3,)),
        (Population("on", (1,), always), Population("a", (2,), CubaLif(0.5, 0.25, 0.75))),
        (
            Projection("input", "a", dense(RNG.normal(0.3, 0.5, (2, 3)))),
            Projection("on", "a", dense(weight)),
        ),
        "a",
    )
    to_nir(network, tmp_path / "some.nir")
    nodes = read_nir(tmp_path / "some.nir").nodes
    assert sorted(node.kind for node in nodes.values()) == ["Affine", "CubaLIF", "Input", "Output"]
    again, x = from_nir(tmp_path / "some.nir"), spikes(network, 3, 20)
    assert [p.name for p in again.populations] == ["a_bias", "a"]
    np.testing.assert_array_equal(again.run(x).spikes, network.run(x).spikes)


def test_only_a_neuron_with_a_current_keeps_its_bias_as_a_leak(tmp_path):
    network = chain(3, 2, neuron=CubaLif(0.5, 0.25, 0.75, 0.125))
    to_nir(network, tmp_path / "some.nir")
    assert nir.read(tmp_path / "some.nir").nodes["a"].v_leak.tolist() == [0.5, 0.5]
    with pytest.raises(UnsupportedError) as error:
        to_nir(network, tmp_path / "other.nir", reader="norse")
    assert str(error.value) == "a: norse 1.1.0 has no place for its bias"


def looped(back):
    populations = (Population("a", (2,), HARD), Population("b", (2,), HARD))
    projections = (
        Projection("input", "a", dense(np.ones((2, 3)))),
        Projection("a", "b", dense(np.ones((2, 2)))),
        Projection("b", back, dense(np.ones((2, 2))), delay=1),
    )
    return Network(Input("input", (3,)), populations, projections, "b")


def late():
    weight = dense(np.ones((2, 3)))
    return Network(
        Input("input", (3,)),
        (Population("a", (2,), HARD),),
        (Projection("input", "a", weight, delay=2),),
        "a",
    )


def flattened():
    wiring = Convolution((2, 4, 4), 3, (3, 3), (1, 1), (1, 1), (1, 1))
    neuron = CubaLif(1.0, 0.25, 0.75, reset="delayed_soft")
    return Network(
        Input("input", (2, 4, 4)),
        (Population("a", (3, 4, 4), neuron), Population("b", (2,), neuron)),
        (
            Projection("input", "a", Synapses(wiring, np.ones(wiring.weight_shape))),
            Projection("a", "b", dense(np.ones((2, 48)))),
        ),
        "b",
    )


REFUSED = {
    "flattened images": (
        flattened,
        "spyx",
        "a.b.1.1: spyx 1.0.0 reads no Flatten; it reads Affine, Conv2d, Input, Output",
    ),
    "reset": (
        lambda: chain(3, 2, neuron=CubaLif(1.0, 0.25, 0.75, reset="soft")),
        "snntorch",
        "a: snnTorch 1.0.0 has no cuba_lif/soft when it reads NIR; it has cuba_lif/hard,"
        " integrate_fire/hard, cuba_lif/hard with a memory of the current",
    ),
    "thresholds": (
        lambda: chain(3, 2, neuron=CubaLif(1.0, 0.25, np.array([0.5, 0.75]), reset="hard")),
        "snntorch",
        "a: snnTorch 1.0.0 takes one threshold for all neurons of a layer",
    ),
    "start": (
        lambda: chain(3, 2, neuron=IntegrateFire(0.75, 0.0, "hard", initial=0.5)),
        "norse",
        "a: norse 1.1.0 starts at a potential of 0, not another",
    ),
    "delay": (
        late,
        "norse",
        "input.a.0.1: norse 1.1.0 reads no Delay; it reads Affine, Conv2d, Flatten, Input, Output,"
        " SumPool2d",
    ),
    "loop": (
        lambda: looped("b"),
        "sinabs",
        "b: sinabs 3.1.3 runs no loops when it reads NIR",
    ),
    "long loop": (
        lambda: looped("a"),
        "norse",
        "b.a.2.1: norse 1.1.0 reads no Delay; it reads Affine, Conv2d, Flatten, Input, Output,"
        " SumPool2d",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_what_a_reader_does_not_have(tmp_path, name):
    make, reader, message = REFUSED[name]
    with pytest.raises(UnsupportedError) as error:
        to_nir(make(), tmp_path / "some.nir", reader=reader)
    assert str(error.value) == message
    assert list(tmp_path.iterdir()) == []


ARGUMENTS = {
    "no reader 'brian' of NIR files; known: snntorch, norse, sinabs, spyx": {"reader": "brian"},
    "norse 1.1.0 reads a time step of 0.001 s, not 0.0001": {"reader": "norse", "dt": 1e-4},
}


@pytest.mark.parametrize("message", ARGUMENTS)
def test_refuses_arguments(tmp_path, message):
    with pytest.raises(InputError) as error:
        to_nir(chain(3, 2), tmp_path / "some.nir", **ARGUMENTS[message])
    assert str(error.value) == message


def test_a_program_is_written_for_a_reader(tmp_path):
    program = compile(chain(3, 2, neuron=HARD), chip="loihi2")
    program.emit(tmp_path / "some.nir", "nir", reader="norse")
    assert read_nir(tmp_path / "some.nir").nodes["a"].kind == "CubaLIF"
    with pytest.raises(InputError) as error:
        program.emit(tmp_path / "other", "netx", reader="norse")
    assert str(error.value) == "a reader is named with backend nir or lava, not 'netx'"


def run_as_spyx(path, x):
    """Run a file as spyx 1.0.0 reads it (`_build_model` of nir.py, the neurons of nn.py)."""
    graph = nir.read(path)
    following = dict(graph.edges)
    name, values = following["input"], x.astype(float)
    while name != "output":
        node = graph.nodes[name]
        if isinstance(node, nir.Affine):
            values = values @ node.weight.T + node.bias
        else:
            values = _fire_as_spyx(node, values)
        name = following[name]
    return values


def _fire_as_spyx(node, x):
    current = isinstance(node, nir.CubaLIF)
    beta = 1 - 1 / (node.tau_mem if current else node.tau)
    v = i = np.zeros((len(x), x.shape[2]))
    out = []
    for step in np.moveaxis(x, 1, 0):
        s = (v > node.v_threshold) * 1.0
        if current:
            i = (1 - 1 / node.tau_syn) * i + step
            v = beta * (v - s * node.v_threshold) + i
        else:
            v = beta * v + step - s * node.v_threshold
        out.append(s)
    return np.stack(out, 1)


SPYX = {
    "LIF": CubaLif(1.0, 0.25, 0.83, reset="delayed_soft"),
    "current": CubaLif(0.4, 0.25, 0.83, reset="soft"),
    "no leak": IntegrateFire(0.83, 0.0, "soft"),
}


@pytest.mark.parametrize("name", SPYX)
def test_spyx_fires_one_step_later_in_every_layer(tmp_path, name):
    rng, neuron = np.random.default_rng(4), SPYX[name]
    network = Network(
        Input("input", (8,)),
        (Population("a", (12,), neuron), Population("b", (5,), neuron)),
        (
            Projection("input", "a", dense(rng.normal(0.2, 0.5, (12, 8)))),
            Projection("a", "b", dense(rng.normal(0.1, 0.5, (5, 12)))),
        ),
        "b",
    )
    to_nir(network, tmp_path / "some.nir", reader="spyx")
    x = spikes(network, 3, 30)
    ours = network.run(x).spikes
    assert ours.any()
    np.testing.assert_array_equal(run_as_spyx(tmp_path / "some.nir", x)[:, 2:], ours[:, :-2])
    assert "written by spyx" in from_nir(tmp_path / "some.nir", origin="spyx").notes[0]
