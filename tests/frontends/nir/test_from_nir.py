"""Import of NIR files: the equations, what is assumed, and what a file leaves open."""

from __future__ import annotations

from itertools import pairwise

import nir
import nir_plain
import numpy as np
import pytest
from hypothesis import given, settings
from nir_files import write_tree
from nir_plain import DT

import snncompile
from snncompile.errors import InputError
from snncompile.frontends.nir.from_nir import from_nir
from snncompile.neurons.readout import Readout


@pytest.fixture
def write(tmp_path):
    def write(*nodes, **options):
        graph = nodes[0] if isinstance(nodes[0], nir.NIRGraph) else nir.NIRGraph.from_list(*nodes)
        nir.write(tmp_path / "some.nir", graph, **options)
        return tmp_path / "some.nir"

    return write


def lif(size, **values):
    given = {"tau": 4 * DT, "r": 4.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | values
    return nir.LIF(**{name: np.full(size, value) for name, value in given.items()})


def spikes(steps, *shape, rate=0.4):
    return (np.random.default_rng(3).random((1, steps, *shape)) < rate).astype(np.uint8)


def same(path, graph, x, **options):
    network = from_nir(path, dt=DT, origin="nir", **options)
    got = network.run(x.reshape(*x.shape[:2], *network.input.shape)).spikes[0]
    np.testing.assert_array_equal(got.reshape(len(got), -1), nir_plain.simulate(graph, x[0]))
    return network


@settings(max_examples=60)
@given(graph=nir_plain.graphs())
def test_spikes_as_the_equations_say(graph, write):
    path = write(graph)
    read = nir.read(path)
    shape = tuple(int(n) for n in read.nodes["input"].output_type["output"])
    same(path, read, spikes(12, *shape))


def test_says_what_it_assumed(write, golden):
    neurons = nir.CubaLIF(
        np.full(3, 1e-3), np.full(3, 2e-3), np.ones(3), np.full(3, 0.5), np.ones(3)
    )
    weight = np.array([[1.0, -2.0], [0.5, 0.25], [3.0, 0.0]])
    path = write(nir.Affine(weight, np.ones(3)), neurons, nir.Linear(weight.T), lif(2, tau=1e-3))
    network = from_nir(path, dt=1e-4)
    golden("\n".join([str(network), *network.notes, ""]))


# Assumption -> what becomes of a LIF of tau 1e-3, r 10, threshold 1, leak to 0.
CHANGES = {
    "dt=2e-4": ({"dt": 2e-4}, "cuba_lif/hard", 0.2, 1.0, 2.0),
    "reset": ({"reset": "delayed_soft"}, "cuba_lif/delayed_soft", 0.1, 1.0, 1.0),
    "one reset": ({"reset": {"lif": "soft"}}, "cuba_lif/soft", 0.1, 1.0, 1.0),
    "comparison": ({"comparison": ">="}, "cuba_lif/hard", 0.1, np.nextafter(1, 0), 1.0),
    "method": ({"method": "exponential"}, "cuba_lif/hard", -np.expm1(-0.1), 1.0, None),
    "milliseconds": ({"tau_unit": "ms", "dt": 1e-7}, "cuba_lif/hard", 0.1, 1.0, 1.0),
    "steps": ({"tau_unit": "steps", "method": "exponential"}, "cuba_lif/hard", 1.0, 1.0, 10.0),
    "times dt": ({"tau_unit": "s*dt", "dt": 1e-2}, "cuba_lif/hard", 0.1, 1.0, 1.0),
    "r": ({"r": "one", "dt": 5e-4}, "cuba_lif/hard", 0.5, 1.0, 1.0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_assumption_can_be_set(write, name):
    options, kind, decay, threshold, weight = CHANGES[name]
    path = write(nir.Linear(np.eye(1)), lif(1, tau=1e-3, r=10.0))
    network = from_nir(path, origin="nir", **{"dt": 1e-4} | options)
    neuron = network.populations[0].neuron
    assert neuron.kind == kind
    assert neuron.potential_decay == pytest.approx(decay, rel=1e-12)
    assert neuron.threshold == threshold
    if weight is not None:
        assert network.projections[0].synapses.weight.item() == weight


@pytest.mark.parametrize("r, dt, gain", [(1.0, 1e-4, 1.0), (1e4, 1e-4, 1.0), (2000.0, 1e-3, 2.0)])
def test_both_conventions_of_if(write, r, dt, gain):
    path = write(nir.Linear(np.eye(1)), nir.IF(np.full(1, r), np.ones(1)))
    network = from_nir(path, origin="nir", dt=dt)
    assert network.projections[0].synapses.weight.item() == gain


# Parameters of a neuron with r 20 at a step of DT and the weight that its synapse of 1 gets.
WITH_R = {
    "LIF": ({"tau": 4 * DT, "v_leak": 0.0, "v_threshold": 1.0}, 20 / 4),
    "LI": ({"tau": 4 * DT, "v_leak": 0.0}, 20 / 4),
    "CubaLIF": (
        {"tau_syn": 2 * DT, "tau_mem": 4 * DT, "v_leak": 0.0, "v_threshold": 1.0, "w_in": 1.0},
        20 / 4 / 2,
    ),
    "IF": ({"v_threshold": 1.0}, 20 * DT),
    "I": ({}, 20 * DT),
}


@pytest.mark.parametrize("shape", [(), (1,), (2,)], ids=["scalar", "one", "per neuron"])
@pytest.mark.parametrize("kind", WITH_R)
def test_r_counts_in_whichever_shape_it_is_written(tmp_path, kind, shape):
    """Exporters write one number for a population as a scalar, as one value or as many."""
    values, weight = WITH_R[kind]
    parameters = {name: np.full(2, value) for name, value in values.items()}
    nodes = {
        "input": {"type": "Input", "shape": np.array([2])},
        "linear": {"type": "Linear", "weight": np.eye(2)},
        "neurons": {"type": kind, "r": np.full(shape, 20.0), **parameters},
        "output": {"type": "Output", "shape": np.array([2])},
    }
    edges = list(pairwise(nodes))
    tree = {"type": "NIRGraph", "nodes": nodes, "edges": edges}
    network = from_nir(
        write_tree(tmp_path / "some.nir", tree), origin="nir", dt=DT, if_r="per_second"
    )
    found = network.projections[0].synapses
    np.testing.assert_allclose(
        found.wiring.matrix(found.weight).toarray(), weight * np.eye(2), rtol=1e-15
    )


def test_a_reset_to_another_potential_shifts_it(write):
    graph = nir.NIRGraph.from_list(nir.Linear(np.eye(1) * 2), lif(1, v_reset=-0.5, v_leak=0.25))
    path = write(graph)
    neuron = same(path, graph, spikes(20, 1)).populations[0].neuron
    assert (neuron.threshold, neuron.bias, neuron.initial) == (1.5, 0.25 * 0.25 + 0.25 * 0.5, 0.5)
    for start, initial in (("reset", 0.0), ("leak", 0.75)):
        network = from_nir(path, origin="nir", dt=DT, start=start)
        assert network.populations[0].neuron.initial == initial


def test_a_loop_takes_one_step_where_it_comes_back(write):
    weight = np.eye(2) * 0.75
    nodes = {
        "input": nir.Input(np.array([2])),
        "first": lif(2),
        "second": lif(2, v_threshold=0.5),
        "there": nir.Linear(weight),
        "back": nir.Linear(weight),
        "output": nir.Output(np.array([2])),
    }
    edges = [("input", "first"), ("first", "there"), ("there", "second"), ("second", "back")]
    graph = nir.NIRGraph(nodes, [*edges, ("back", "first"), ("second", "output")])
    network = same(write(graph), graph, spikes(20, 2))
    delays = {(p.source, p.target): p.delay for p in network.projections}
    back = ("second", "first")
    assert delays == {("input", "first"): 0, ("first", "second"): 0, back: 1}
    assert network.notes[-1] == (
        "NIR: the loop through second -> first has no Delay; that connection takes loop_delay"
        " time steps"
    )
    other = from_nir(write(graph), dt=DT, loop_delay={back: 3})
    assert {(p.source, p.target): p.delay for p in other.projections}[back] == 3


def test_a_nested_graph_is_part_of_the_whole(write):
    inner = nir.NIRGraph.from_list(nir.Linear(np.ones((2, 3))), lif(2))
    weight = np.ones((2, 2))
    graph = nir.NIRGraph(
        {
            "input": nir.Input(np.array([3])),
            "inner": inner,
            "affine": nir.Affine(weight, np.zeros(2)),
            "lif": lif(2),
            "output": nir.Output(np.array([2])),
        },
        [("input", "inner"), ("inner", "affine"), ("affine", "lif"), ("lif", "output")],
    )
    network = same(write(graph), graph, spikes(20, 3))
    assert [p.name for p in network.populations] == ["inner_lif", "lif"]


def test_a_threshold_after_a_leak_is_one_neuron(write):
    li = nir.LI(np.full(2, 4 * DT), np.full(2, 4.0), np.zeros(2))
    graph = nir.NIRGraph.from_list(nir.Linear(np.eye(2)), li, nir.Threshold(np.ones(2)))
    network = same(write(graph), graph, spikes(20, 2, rate=0.8))
    assert [p.neuron.kind for p in network.populations] == ["cuba_lif/none"]


def test_axes_of_batch_and_time_are_left_out(write):
    graph = nir.NIRGraph.from_list(nir.Linear(np.ones((2, 3))), lif(2))
    graph.nodes["input"] = nir.Input(np.array([20, 5, 3]))
    network = from_nir(write(graph), dt=DT)
    assert network.input.shape == (3,)
    assert network.notes[-1] == (
        "NIR: the input has shape (3,) without batch, the file says (20, 5, 3)"
    )
    with pytest.raises(InputError) as error:
        from_nir(write(graph), dt=DT, input_shape=(4, 3))
    assert str(error.value) == (
        "some.nir: node linear: Linear gets shape (4, 3), expected (3,); input_shape= sets another"
        " shape of the input"
    )


def test_numbers_without_a_shape_count_for_all_neurons(write):
    node = lif(())
    graph = nir.NIRGraph.from_list(nir.Linear(np.ones((2, 3))), lif(2))
    graph.nodes["lif"] = node
    network = from_nir(write(graph, compression=None), dt=DT)
    assert network.populations[0].shape == (2,)


def test_a_bias_of_a_current_comes_from_a_neuron_that_always_fires(write):
    one = np.ones(1)
    neurons = nir.CubaLIF(DT * 2 * one, DT * 4 * one, 4 * one, 0 * one, one, w_in=2 * one)
    graph = nir.NIRGraph.from_list(nir.Affine(np.eye(1), one * 0.25), neurons)
    network = same(write(graph), graph, spikes(20, 1))
    assert [p.name for p in network.populations] == ["cubalif_bias", "cubalif"]


def test_the_last_neurons_may_be_a_readout(write):
    li = nir.LI(np.full((2, 2, 2), 4 * DT), np.full((2, 2, 2), 4.0), np.zeros((2, 2, 2)))
    flatten = nir.Flatten({"input": np.array([2, 2, 2])}, 0, -1)
    graph = nir.NIRGraph.from_list(li, flatten)
    network = from_nir(write(graph), dt=DT)
    assert isinstance(network.populations[0].neuron, Readout)
    assert (network.input.shape, network.output_shape) == ((2, 2, 2), (8,))


def test_notes_are_saved_with_the_network(write, tmp_path):
    network = from_nir(write(nir.Linear(np.eye(2)), lif(2)), dt=DT)
    network.save(tmp_path / "saved")
    assert snncompile.load(tmp_path / "saved").notes == network.notes != ()
